from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainer.evaluation.live import live


def _measured(trainer_world, run: str, **arrays):
    job = trainer_world.job(run)
    np.savez(Path(job.run_folder) / "labelled.npz", **arrays)
    return live(job)


def test_live_metrics_are_those_of_an_evaluation_in_the_column_s_unit(trainer_world):
    # The world's costs have mean 50 and scale 10; labels are as shards have them.
    result = _measured(
        trainer_world,
        "live",
        **{
            "answer.sold": np.array([0.9, 0.2, 0.6, 0.1], np.float32),
            "truth.sold": np.array([1, 0, 0, 0], np.float32),
            "known.sold": np.ones(4, bool),
            "answer.cost": np.array([50, 60, 70, 0], np.float32),
            "truth.cost": np.array([0.1, 1.0, 1.7, 0.0], np.float32),
            "known.cost": np.array([True, True, True, False]),
        },
    )
    assert result.rows == 4
    assert result.metrics["live_sold_accuracy"] == 0.75
    assert result.metrics["live_sold_auc"] == 1.0
    assert result.metrics["live_cost_mae"] == pytest.approx((1 + 0 + 3) / 3, abs=1e-4)
    assert "live_cost_mae" in result.resampled
    assert not [name for name in result.metrics if "group" in name or "loss" in name]


def test_classes_are_those_of_the_champion_s_probabilities(trainer_world):
    result = _measured(
        trainer_world,
        "live classes",
        **{
            "answer.group__probabilities": np.array([[0.1, 0.8, 0.1], [0.5, 0.2, 0.3]]),
            "truth.group": np.array([1, 2]),
            "known.group": np.ones(2, bool),
        },
    )
    assert result.metrics["live_group_accuracy"] == 0.5
