"""A picture and a number to a label that neither of them tells alone."""

from __future__ import annotations

import pytest

from tests.templates.project import Project, as_printed, best_threshold, majority

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return as_printed("image-numeric", tmp_path_factory.mktemp("image_numeric"))


def test_photo_and_weight_are_both_used(project):
    rows = project.rows("test")
    # The most that a model could do which sees the size alone, or the weight alone: some 0.68.
    alone = max(best_threshold(rows[name], rows["ripe"]) for name in ("radius", "weight"))
    assert alone < 0.75
    assert majority(rows["ripe"]) < 0.6
    assert project.record()["metrics"]["test_ripe_accuracy"] >= alone + 0.12


def test_photos_are_png_bytes_of_64_pixels(project):
    assert all(photo.startswith(b"\x89PNG") for photo in project.rows("test")["photo"].to_pylist())
    (photo,) = (s for s in project.transform().stored if s.name == "photo")
    assert photo.shape == (64, 64, 3)
