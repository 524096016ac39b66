"""A model that uses some of the declared features and targets, on the shards of all of them."""

from __future__ import annotations

import numpy as np

from tests.trainer.world import pipeline_of, training_with
from trainer.evaluation.evaluation import evaluate
from trainer.export.export import export
from trainer.export.serving import load
from trainer.run_folder import EXPORT_FOLDER
from trainer.training.training import train


def test_a_model_of_some_features_and_targets_trains_on_the_shards_of_all(trainer_world, tmp_path):
    whole = pipeline_of(training=training_with(epochs=1))
    chosen = pipeline_of(
        training=training_with(epochs=1),
        model={"features": ["color", "price"], "targets": ["group"]},
    )
    assert chosen.data_fingerprint() == whole.data_fingerprint()
    assert chosen.training_fingerprint() != whole.training_fingerprint()
    assert chosen.gates()[0].metric == "test_group_accuracy"
    job = trainer_world.job("chosen", chosen.modelled())
    assert [s.name for s in job.manifest().stored] == [
        *("color", "price", "price__missing", "group", "group__weight")
    ]
    train(job)
    export(job)
    result = evaluate(job)
    assert result.parity < 1e-4
    assert set(result.metrics) == {
        f"{split}_{metric}"
        for split in ("validation", "test")
        for metric in ("loss", "group_accuracy", "group_log_loss")
    }
    scorer = load(tmp_path / job.run_folder / EXPORT_FOLDER)
    assert [raw.name for raw in scorer.manifest.raw_inputs()] == ["color", "unit price"]
    scored = scorer.score({"color": ["red", None], "unit price": [1.0, np.nan]})
    assert scored["group__probabilities"].shape == (2, 3)
