"""Pictures as targets through all steps in one process: shards, model, export, report, table."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flows.prediction.prediction_file import Predictions, PredictionWriter
from tests.support.jobs import train_job, transform_job
from trainer.data.shards import shard_files
from trainer.evaluation.champion import score_champion
from trainer.evaluation.evaluation import evaluate
from trainer.export.export import export
from trainer.export.serving import check, load
from trainer.training.training import train
from transforms.analysis.freeze import analyze
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.evaluation import EvaluationResult
from transforms.contract.steps.jobs import TrainJob
from transforms.shards.transform import transform

ROWS, HEIGHT, WIDTH = 60, 13, 10
SIZE = {"kind": "image", "height": HEIGHT, "width": WIDTH}
DECLARATION: dict[str, Any] = {
    "name": "dense",
    "split": {"train": 60, "validation": 20, "test": 20},
    "features": {"photo": SIZE | {"background": [0, 0, 0]}, "group": {"kind": "categorical"}},
    "targets": {
        "mask": SIZE
        | {"content": "binary_mask", "column": "photo", "source_channel": "alpha"}
        | {"loss": "crossentropy_dice"},
        "kinds": SIZE | {"content": "class_mask", "classes": 3, "missing": "mask"},
        "depth": SIZE | {"content": "continuous", "storage": "png", "loss": "mae"},
        "small": {"kind": "image", "height": 3, "width": 2, "content": "continuous"}
        | {"channels": 3, "column": "photo", "activation": "linear"},
    },
    "model": {
        "encoders": {"photo": {"kind": "cnn", "filters": [4, 8]}},
        "augment": {
            "geometry": {"columns": ["photo", "mask", "kinds", "depth"], "flip": "horizontal"}
        },
    },
    "training": {"epochs": 6, "batch_size": 8, "learning_rate": 0.01, "ema": 0},
}


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def scene(index: int) -> dict[str, Any]:
    """Returns a row: a rectangle, brighter the deeper it is, transparent all around."""
    random = np.random.default_rng(index)
    top, left = random.integers(0, 6, size=2)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[top : top + 6, left : left + 4] = True
    value = int(random.integers(100, 250))
    rgba = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    rgba[inside] = (value, value, value, 255)
    kinds = inside * (1 + index % 2)
    return {
        "id": f"r{index}",
        "photo": png(rgba),
        "group": f"g{index % 2}",
        "kinds": None if index % 7 == 0 else png(kinds.astype(np.uint8)),
        "depth": png((inside * value).astype(np.uint8)),
    }


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> TrainJob:
    root = tmp_path_factory.mktemp("dense")
    (root / "data").mkdir()
    rows = [scene(index) for index in range(ROWS)]
    pq.write_table(pa.Table.from_pylist(rows), root / "data" / "rows.parquet")
    source = {"path": str(root / "data"), "key": "id"}
    pipeline = parse(DECLARATION | {"source": source})
    work = transform_job(pipeline, root / "workspace")
    analyze(work.model_dump_json())
    transform(work.model_dump_json())
    (root / "run").mkdir()
    done = train_job(work, root / "run")
    train(done)
    export(done)
    check(done)
    return done


@pytest.fixture(scope="module")
def evaluation(job) -> EvaluationResult:
    return evaluate(job)


def test_what_is_exported_answers_as_the_model_does(evaluation):
    assert evaluation.parity < 1e-4


def test_every_declared_metric_is_measured(job, evaluation):
    assert set(evaluation.metrics) == set(job.pipeline.metric_names())
    assert evaluation.metrics["test_mask_iou"] > 0.8
    assert evaluation.metrics["test_mask_accuracy"] > 0.9


def test_the_model_is_comparable_with_itself_as_the_champion(job, evaluation):
    files = shard_files(job, "test", "raw")
    scored = score_champion(f"{job.run_folder}/export", job.pipeline, job.manifest(), files, 5)
    wanted = {n: v for n, v in evaluation.metrics.items() if n.startswith("test_")}
    assert scored == pytest.approx(wanted, rel=1e-3)


def test_the_report_shows_pictures_of_the_first_rows(evaluation):
    figure = evaluation.figures["kinds"]
    assert (figure.kind, figure.columns) == ("pictures", ("photo", "truth", "prediction"))
    assert len(figure.rows) == 4
    photo, truth, _ = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(cell)))) for cell in figure.rows[0]
    )
    assert (photo.shape, truth.shape) == ((HEIGHT, WIDTH, 3), (HEIGHT, WIDTH))
    assert set(np.unique(truth)) <= {0, 128, 255}
    assert ((truth > 0) == (photo[..., 0] > 0)).all()


@pytest.fixture(scope="module")
def served(job) -> dict[str, np.ndarray]:
    rows = [scene(index) for index in (3, 4)]
    columns = {name: [row[name] for row in rows] for name in ("photo", "group")}
    return load(f"{job.run_folder}/export").score(columns)


def test_a_caller_gets_pictures(served):
    shapes = {name: (values.dtype.name, values.shape) for name, values in served.items()}
    assert shapes == {
        "mask": ("float32", (2, HEIGHT, WIDTH, 1)),
        "kinds": ("uint8", (2, HEIGHT, WIDTH, 1)),
        "kinds__probabilities": ("float32", (2, HEIGHT, WIDTH, 3)),
        "depth": ("float32", (2, HEIGHT, WIDTH, 1)),
        "small": ("float32", (2, 3, 2, 3)),
    }
    alpha = np.asarray(Image.open(io.BytesIO(scene(3)["photo"])))[..., 3]
    assert ((served["mask"][0, :, :, 0] > 0.5) == (alpha > 0)).mean() > 0.9


def test_a_table_of_predictions_has_png_files(served, tmp_path):
    path = tmp_path / "scores.parquet"
    writer = PredictionWriter(path, ".parquet", ["id"])
    writer.add(
        np.array([b"a", b"b", b"c"], object),
        Predictions(served, np.array([0, 2]), {1: "no picture"}),
    )
    writer.close()
    table = pq.read_table(path)
    assert set(table.column_names) == {"id", "mask", "kinds", "depth", "small", "error"}
    assert table["mask"][1].as_py() is None
    cell = table["mask"][2].as_py()
    decoded = np.asarray(Image.open(io.BytesIO(cell)))
    assert np.abs(decoded - served["mask"][1, :, :, 0] * 255).max() <= 0.5
    assert np.asarray(Image.open(io.BytesIO(table["small"][0].as_py()))).shape == (3, 2, 3)
    kinds = np.asarray(Image.open(io.BytesIO(table["kinds"][0].as_py())))
    assert (kinds == served["kinds"][0, :, :, 0]).all()


def test_a_champion_of_other_classes_or_another_size_is_not_compared(job, evaluation):
    declaration = job.pipeline.model_dump(mode="json")
    declaration["targets"]["kinds"]["classes"] = 4
    declaration["targets"]["depth"]["height"], declaration["model"]["augment"] = 12, {}
    files = shard_files(job, "test", "raw")
    manifest = job.manifest()
    scored = score_champion(f"{job.run_folder}/export", parse(declaration), manifest, files, 5)
    assert {name.split("_")[1] for name in scored} == {"mask", "small"}
    assert scored["test_mask_iou"] == pytest.approx(evaluation.metrics["test_mask_iou"])
