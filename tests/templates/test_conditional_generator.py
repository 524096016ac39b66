"""A name and noise to a picture, judged by a model that has seen real pictures only."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flows.templates.conditional_generator.table import SHAPES, SIDE
from tests.templates.project import Project, as_printed

pytestmark = pytest.mark.slow

_ALL = ("pipeline.yaml", "regression.yaml", "recognizer.yaml")
_EACH = pytest.mark.parametrize("declaration", _ALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return as_printed("conditional-generator", tmp_path_factory.mktemp("generator"))


def _grid(project: Project, declaration: str) -> np.ndarray:
    """Returns the pictures of the report, from 0 to 1: [shapes, real and made ones, H, W]."""
    runs = project.folder / "workspace" / "runs" / project.pipeline(declaration).name
    (file,) = runs.glob("*/evaluation.json")
    figure: dict[str, Any] = json.loads(file.read_text())["figures"]["picture"]
    assert figure["columns"] == ["real", *["made"] * 7]
    return np.array([[_pixels(base64.b64decode(png)) for png in row] for row in figure["rows"]])


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)), np.float64) / 255


def _spread(pictures: Any) -> float:
    """Returns how much pixels differ between pictures of one shape."""
    return float(np.std(pictures, axis=0).mean())


def test_made_pictures_are_recognised(project):
    made = pq.read_table(project.folder / "made.parquet")
    seen = pq.read_table(project.folder / "seen.parquet")
    assert made["id"] == seen["id"]
    assert made["error"].null_count == seen["error"].null_count == len(made) == 200
    assert _pixels(made["picture"][0].as_py()).shape == (SIDE, SIDE)
    # 40 of each of the 5 shapes: pictures that do not depend on the name give 0.2, and pictures
    # that take two shapes for one another 0.6.
    wanted = pq.read_table(project.folder / "data" / "names.parquet")["shape"]
    assert np.mean(np.asarray(wanted) == np.asarray(seen["name"])) >= 0.8
    assert project.record("recognizer.yaml")["metrics"]["test_name_accuracy"] >= 0.95


def test_one_name_gives_many_pictures_as_in_the_table_and_the_squared_error_gives_one(project):
    rows = pq.read_table(project.folder / "data" / "drawings.parquet").to_pylist()
    real = [
        _spread([_pixels(r["picture"]) for r in rows if r["shape"] == shape]) for shape in SHAPES
    ]
    made, averaged = ([_spread(row[1:]) for row in _grid(project, name)] for name in _ALL[:2])
    assert np.mean(made) > 0.4 * np.mean(real)
    assert np.mean(averaged) < 0.25 * np.mean(real)


def test_three_models_learn_from_the_shards_of_the_first(project):
    records = [project.record(declaration) for declaration in _ALL]
    assert len({record["transform"] for record in records}) == 1
    notes = [
        step["note"]
        for record in records
        for step in record["steps"]
        if step["name"] == "transform"
    ]
    assert ["1 of 1 partitions" in note for note in notes] == [False, True, True]


@_EACH
def test_shards_and_exported_model_agree(project, declaration):
    assert project.record(declaration)["parity"] < 1e-4
