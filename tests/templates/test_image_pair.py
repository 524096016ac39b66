"""Two pictures by path to a label that neither of them tells alone, joined in two ways."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.templates.project import Project, as_printed, best_threshold, majority
from trainer.data.augment import Augmenter

pytestmark = pytest.mark.slow

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
def test_in_training_the_photos_change_each_on_its_own(project, declaration):
    augmenter = Augmenter(project.pipeline(declaration).model.augment, seed=1)
    photos = np.random.default_rng(1).integers(0, 256, (8, 64, 64, 3)).astype(np.uint8)
    same = {"before": tf.constant(photos), "after": tf.constant(photos)}
    augmenter.start(0)
    changed, _, _ = augmenter((same, {}, {}))
    before, after = np.asarray(changed["before"]), np.asarray(changed["after"])
    assert (before != photos).any()
    assert (after != photos).any()
    assert (before != after).any()


@_BOTH
def test_outside_training_nothing_changes(project, declaration):
    # The model on the shards and the exported model on the files agree: neither is random.
    assert project.record(declaration)["parity"] < 1e-4


def test_the_second_way_reuses_the_shards_of_the_first(project):
    first, second = (project.record(name) for name in ("pipeline.yaml", "attention.yaml"))
    assert first["transform"] == second["transform"]
    (transform,) = (step for step in second["steps"] if step["name"] == "transform")
    assert "1 of 1 partitions" in transform["note"]
