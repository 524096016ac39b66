"""Two pictures by path to a label that neither of them tells alone, joined in two ways."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.templates.project import Project, as_printed, best_threshold, majority
from trainer.augment import augment_inputs

_BOTH = pytest.mark.parametrize("declaration", ["pipeline.yaml", "attention.yaml"])


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return as_printed("image-pair", tmp_path_factory.mktemp("image_pair"))


@_BOTH
def test_both_photos_are_used(project, declaration):
    rows = project.rows("test")
    # The most that a model could do which sees one of the photos: some 0.76.
    alone = max(
        best_threshold(rows[name], rows["grew"]) for name in ("before_radius", "after_radius")
    )
    assert alone < 0.82
    assert majority(rows["grew"]) < 0.6
    assert project.record(declaration)["metrics"]["test_grew_accuracy"] >= alone + 0.08


def test_missing_and_damaged_files_are_rejects_with_their_reason(project):
    rejects = {(r["column"], r["reason"]): r["rows"] for r in project.record()["rejects"]}
    assert rejects == {
        ("before", "missing_file"): 5,
        ("after", "missing_file"): 5,
        ("before", "undecodable_image"): 10,
        ("after", "undecodable_image"): 10,
    }


@_BOTH
def test_photos_change_each_on_its_own_and_in_training_only(project, declaration):
    augment = project.pipeline(declaration).model.augment
    tensors = {name: keras.Input((64, 64, 3), dtype="uint8") for name in ("before", "after")}
    model = keras.Model(tensors, augment_inputs(augment, tensors))
    photos = np.random.default_rng(1).integers(0, 256, (8, 64, 64, 3)).astype(np.uint8)
    same = {"before": photos, "after": photos}
    training = {name: np.asarray(pixels) for name, pixels in model(same, training=True).items()}
    assert (training["before"] != photos).any()
    assert (training["after"] != photos).any()
    assert (training["before"] != training["after"]).any()
    for pixels in model(same, training=False).values():
        np.testing.assert_array_equal(np.asarray(pixels), photos)


@_BOTH
def test_shards_and_exported_model_agree(project, declaration):
    assert project.record(declaration)["parity"] < 1e-4


def test_the_second_way_reuses_the_shards_of_the_first(project):
    first, second = (project.record(name) for name in ("pipeline.yaml", "attention.yaml"))
    assert first["transform"] == second["transform"]
    (transform,) = (step for step in second["steps"] if step["name"] == "transform")
    assert "1 of 1 partitions" in transform["note"]
