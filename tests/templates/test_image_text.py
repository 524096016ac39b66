"""A picture and a long text to a sentiment, of which each has half of the signal."""

from __future__ import annotations

import pytest

from tests.templates.project import Project, as_printed, best_threshold, majority

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return as_printed("image-text", tmp_path_factory.mktemp("image_text"))


def test_photo_and_text_are_both_used(project):
    rows = project.rows("test")
    # The most that a model could do which sees the photo alone or the text alone: some 0.76.
    alone = max(best_threshold(rows[name], rows["positive"]) for name in ("sun", "mood"))
    assert alone < 0.82
    assert majority(rows["positive"]) < 0.6
    assert project.record()["metrics"]["test_positive_accuracy"] >= alone + 0.08


def test_shapes_are_those_that_the_page_names(project):
    stored = {feature.name: feature for feature in project.transform().stored}
    assert stored["photo"].shape == (128, 128, 3)
    assert stored["text"].shape == (100,)
    assert project.pipeline().model.encoders["text"].units == 64
