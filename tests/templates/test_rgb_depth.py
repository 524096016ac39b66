"""A color picture and a depth map to two pictures, neither of which one of them tells alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.templates.project import Project, as_printed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return as_printed("rgb-depth", tmp_path_factory.mktemp("rgb_depth"))


@pytest.fixture(scope="module")
def pictures(project) -> dict[str, np.ndarray]:
    """The gray pictures of the test rows, from 0 to 1."""
    rows = project.rows("test")
    return {
        name: np.stack([_pixels(cell) for cell in rows[name].to_pylist()])
        for name in ("depth", "mask", "surface", "red", "near")
    }


def _pixels(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded))) / 255


def _iou(predicted: np.ndarray, truth: np.ndarray) -> float:
    predicted, truth = predicted > 0.5, truth > 0.5
    return float((predicted & truth).sum() / (predicted | truth).sum())


def test_the_mask_takes_both_pictures(project, pictures):
    # The most that color alone, or depth alone, could find without a mistake: some 0.55.
    alone = max(_iou(pictures[name], pictures["mask"]) for name in ("red", "near"))
    assert alone < 0.65
    everywhere = _iou(np.ones_like(pictures["mask"]), pictures["mask"])
    assert everywhere < 0.15
    assert project.record()["metrics"]["test_mask_iou"] >= alone + 0.2


def test_the_surface_is_better_than_what_was_measured(project, pictures):
    surface = pictures["surface"]
    knowing_nothing = float(np.abs(surface - surface.mean()).mean())
    error = project.record()["metrics"]["test_surface_mae"]
    assert error <= 0.65 * knowing_nothing
    assert error < float(np.abs(surface - pictures["depth"]).mean())


def test_pictures_and_targets_move_together_and_nothing_moves_outside_training(project):
    geometry = project.pipeline().model.augment["geometry"]
    assert geometry.columns == ("rgb", "depth", "mask", "surface")
    # Shards through the model and raw rows through the export agree: nothing is random in either.
    assert project.record()["parity"] < 1e-4
