from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from trainer.recipe import Recipe
from trainer.training import watching
from trainer.training.watching import WatchedMetric, tell_round
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.results import EpochRecord

PIPELINE = parse(
    {
        "name": "flats",
        "source": {"path": "data", "key": "id"},
        "features": {"x": {"kind": "numeric"}},
        "targets": {"sold": {"kind": "binary"}, "price": {"kind": "numeric"}},
    }
)


def network(inputs: Any, training: bool) -> Any:
    """Answers with the input."""
    assert not training
    return {"sold": inputs["x"]}


def batches(weights: list[float]) -> tf.data.Dataset:
    inputs, sold = {"x": [[0.9], [0.1], [0.8]]}, {"sold": [[1.0], [0.0], [0.0]]}
    return tf.data.Dataset.from_tensor_slices((inputs, sold, {"sold": weights})).batch(2)


@pytest.mark.parametrize(
    ("weights", "told"),
    [([1.0, 1.0, 1.0], {"val_auc": 1.0}), ([0.0, 1.0, 1.0], {}), ([0.0, 0.0, 0.0], {})],
    ids=["all", "one class", "masked"],
)
def test_the_first_metric_of_the_first_target_is_that_of_rows_with_a_label(weights, told):
    manifest: Any = SimpleNamespace(targets={"sold": None}, stored=())
    metric = WatchedMetric(network, PIPELINE, manifest)  # type: ignore[arg-type]
    assert metric.of(batches(weights)) == told


def test_a_round_is_told_as_keras_tells_an_epoch(monkeypatch):
    reports: list[tuple[Any, Any]] = []
    monkeypatch.setattr(watching, "report", lambda *done, **told: reports.append((done, told)))
    recipe = Recipe(rows=64, batch_size=32, epochs=9, seed=1, shuffle_bytes=1)
    record = EpochRecord(
        epoch=2, steps=6, loss=0.5, losses={}, validation_loss=0.4, seconds=1.0,
        rows_per_second=64.0, input_wait_share=0.0,
    )  # fmt: skip
    tell_round(record, recipe, {"val_auc": 0.9})
    numbers = {"epoch": 3, "epochs": 9, "loss": 0.5, "val_loss": 0.4, "val_auc": 0.9}
    assert reports == [((6, 18), {"unit": "steps", "milestone": True, **numbers})]
