from __future__ import annotations

import numpy as np
import pytest

from tests.trainer.world import example, pipeline_of, write_shard
from trainer.data.shards import ShardFile, shard_files
from trainer.evaluation.baselines.constant import Constant
from trainer.evaluation.baselines.fitting import Linear, fit_baselines
from transforms.contract.workspace.manifest import (
    StoredFeature,
    TargetStatistics,
    TransformManifest,
)


@pytest.fixture(scope="module")
def fitted(trainer_world):
    job = trainer_world.job("baselines")
    files = shard_files(job, "train"), shard_files(job, "validation")
    return fit_baselines(job.pipeline, job.manifest(), *files)


def test_a_mixed_table_has_a_constant_answer_and_a_linear_model(fitted):
    constant, linear = fitted
    assert isinstance(constant, Constant)
    assert isinstance(linear, Linear)
    assert [baseline.name for baseline in fitted] == ["constant", "linear"]
    assert constant.targets == linear.targets == {"sold", "group", "cost"}


def test_the_constant_answer_is_the_labelled_training_rows_shares_and_mean(fitted, trainer_world):
    numbers = np.array([n for n in range(120) if n % 7 not in (3, 5)])
    answers = fitted[0].predict({}, 2)
    assert answers["sold"].shape == (2,)
    assert answers["sold"][0] == pytest.approx(np.mean(numbers % 4 == 0))
    labelled = numbers[numbers % 5 != 0]
    shares = [np.mean(labelled % 3 == group) for group in range(3)]
    assert answers["group"][1] == pytest.approx(shares)
    assert answers["cost"][0] == pytest.approx(50 + 10 * np.mean((numbers % 5 - 2) / 1.5))


@pytest.mark.parametrize(("loss", "answer"), [("mse", 40.0), ("mae", 0.0)])
def test_the_constant_of_the_absolute_error_is_the_median(tmp_path, loss, answer):
    stored = (_number("area", "feature"), _number("cost", "target"))
    pipeline = pipeline_of(
        features={"area": {"kind": "numeric"}},
        targets={"cost": {"kind": "numeric", "scale": "none", "loss": loss}},
        model={},
    )
    values = [0.0, 0.0, 120.0]
    rows = [example({"area": np.float32(1), "cost": np.float32(cost)}) for cost in values]
    constant, _ = _fit(pipeline, stored, rows, tmp_path)
    assert constant.predict({}, 1)["cost"].tolist() == [answer]


def test_classified_series_have_the_nearest_neighbour_and_forecast_ones_a_linear_model(tmp_path):
    series = StoredFeature(
        name="signal", role="feature", kind="sequence", dtype="float32", shape=(3, 1), padded=True
    )
    label = StoredFeature(
        name="state", role="target", kind="multiclass", dtype="int64", shape=(), cardinality=2
    )
    features = {"signal": {"kind": "sequence", "length": 3, "variable": True}}
    nan = float("nan")
    signals = np.float32([[0, 1, nan], [0, 1, 2], [5, 5, nan], [5, 5, 5]])
    classes = pipeline_of(features=features, targets={"state": {"kind": "multiclass"}}, model={})
    rows = [example({"signal": s, "state": i // 2}) for i, s in enumerate(signals)]
    _, nearest = _fit(classes, (series, label), rows, tmp_path)
    assert nearest.name == "nearest"
    answers = nearest.predict({"signal": signals[:, :, np.newaxis]}, 4)["state"]
    assert answers.argmax(axis=1).tolist() == [0, 0, 1, 1]

    numbers = pipeline_of(features=features, targets={"cost": {"kind": "numeric"}}, model={})
    rows = [example({"signal": s, "cost": np.float32(i)}) for i, s in enumerate(signals)]
    _, linear = _fit(numbers, (series, _number("cost", "target")), rows, tmp_path)
    assert linear.name == "linear"


def test_a_target_without_a_label_among_the_sampled_rows_is_not_answered(tmp_path):
    stored = (
        _number("area", "feature"),
        _number("cost", "target"),
        _number("sold", "target"),
        _number("sold__weight", "weight"),
    )
    pipeline = pipeline_of(
        features={"area": {"kind": "numeric"}},
        targets={"cost": {"kind": "numeric"}, "sold": {"kind": "binary", "missing": "mask"}},
        model={},
    )
    row = {name: np.float32(0) for name in ("area", "cost", "sold", "sold__weight")}
    for baseline in _fit(pipeline, stored, [example(row)], tmp_path):
        assert baseline.targets == {"cost"}


@pytest.mark.parametrize("drawn", [False, True])
def test_pictures_have_their_mean_unless_they_are_drawn(tmp_path, drawn):
    mask = StoredFeature(
        name="mask", role="target", kind="image", dtype="uint8", shape=(8, 8, 1), storage="raw"
    )
    noise = StoredFeature(
        name="z", role="feature", kind="noise", dtype="float32", shape=(2,), storage="drawn"
    )
    pipeline = pipeline_of(
        features={"area": {"kind": "numeric"}, "z": {"kind": "noise", "dimension": 2}},
        targets={
            "mask": {"kind": "image", "height": 8, "width": 8, "content": "continuous"},
        },
        model={},
    )
    row = example({"mask": bytes([51] * 64)})
    (constant,) = _fit(pipeline, (mask, noise) if drawn else (mask,), [row], tmp_path)
    if drawn:
        assert constant.targets == set()
    else:
        assert constant.predict({}, 3)["mask"].shape == (3, 8, 8, 1)
        np.testing.assert_allclose(constant.predict({}, 1)["mask"], 0.2, rtol=1e-6)


def _number(name, role):
    return StoredFeature(name=name, role=role, kind="numeric", dtype="float32", shape=())


def _fit(pipeline, stored, records, folder):
    manifest = TransformManifest(
        fingerprint="f",
        declaration="d",
        raw_features={},
        raw_targets={},
        stored=stored,
        targets={name: TargetStatistics() for name in pipeline.targets},
        rows=len(records),
        partitions={},
    )
    file = ShardFile(folder / "a", write_shard(folder, "a", "train", "stored", records))
    return fit_baselines(pipeline, manifest, [file], [])
