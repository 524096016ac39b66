"""Columns that features of several kinds read: transform, export, prediction, champion."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from flows.prediction.predict import score_table
from tests.support.conformance import Case, Transformed, transform_cases
from trainer.data.shards import shard_files
from trainer.evaluation.champion import score_champion
from trainer.evaluation.evaluation import evaluate
from trainer.export.export import export
from trainer.export.serving import Scorer, load
from trainer.run_folder import DECLARATION_FILE, EXPORT_FOLDER
from trainer.training.training import train

PRICE = Case("price", {"kind": "numeric"}, (3.0, -1.0, 4.0, 1.5, 2.0))
ROOMS = Case("rooms", {"kind": "numeric"}, (1, 2, 3))
TIME = Case(
    "time",
    {"kind": "datetime", "invalid": "default"},
    ("2026-01-31", "2026-02-01T05:00+01:00", "2026-02-07 12:30"),
)
SEEN = Case(
    "seen",
    {"kind": "datetime"},
    tuple(datetime(2026, month, 9, 23, 5, 7, 123_456, tzinfo=UTC) for month in (1, 5, 12)),
    type_=pa.timestamp("ns", "Europe/Brussels"),
)
BESIDE = (
    Case("size", {"kind": "categorical", "column": "rooms"}),
    Case("slot", {"kind": "categorical", "column": "time"}),
)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Transformed:
    folder = tmp_path_factory.mktemp("several")
    return transform_cases([ROOMS, TIME, SEEN, *BESIDE], [PRICE], folder)


def exported(transformed: Transformed, folder: Path, **model: Any) -> tuple[Scorer, dict[str, Any]]:
    job = transformed.train_job(folder, **model)
    train(job)
    export(job)
    return load(folder / EXPORT_FOLDER), evaluate(job)


def predicted(scorer: Scorer, transformed: Transformed, folder: Path) -> np.ndarray:
    source, output = Path(transformed.pipeline.source.path) / "rows.parquet", folder / "out.csv"
    score_table(scorer, source, output, lambda rows: None)
    return pacsv.read_csv(output)["price"].to_numpy()


def test_an_export_takes_a_column_once_for_each_of_its_types(several, tmp_path) -> None:
    scorer, result = exported(several, tmp_path)
    assert result.parity < 1e-4
    assert [raw.name for raw in scorer.manifest.raw_inputs()] == [
        *("rooms", "time", "seen", "rooms:string")
    ]
    document = json.loads((tmp_path / EXPORT_FOLDER / DECLARATION_FILE).read_text())
    assert document["arguments"] == {
        **{"rooms": "rooms", "rooms:string": "rooms_string", "time": "time", "seen": "seen"}
    }
    columns = {"rooms": ROOMS.values, "time": TIME.values, "seen": SEEN.values}
    prices = scorer.score(columns)["price"]
    assert predicted(scorer, several, tmp_path)[:3] == pytest.approx(prices, rel=1e-4)
    # The second input counts: without it the size is missing.
    assert not np.allclose(scorer.score(columns | {"rooms:string": [""] * 3})["price"], prices)


def test_a_model_of_the_input_beside_predicts_from_the_column(several, tmp_path) -> None:
    scorer, _ = exported(several, tmp_path, features=["size"])
    assert [raw.name for raw in scorer.manifest.raw_inputs()] == ["rooms:string"]
    prices = predicted(scorer, several, tmp_path)
    assert prices[:3] == pytest.approx(scorer.score({"rooms": ROOMS.values})["price"], rel=1e-4)
    assert len(set(prices[:3].tolist())) == 3


def test_a_champion_of_the_column_alone_is_scored_on_the_new_rows(several, tmp_path) -> None:
    before = transform_cases([ROOMS, TIME, SEEN], [PRICE], tmp_path / "before")
    champion, result = exported(before, tmp_path / "run")
    assert [raw.name for raw in champion.manifest.raw_inputs()] == ["rooms", "time", "seen"]
    job = several.train_job(tmp_path)
    files = shard_files(job, "test", "raw")
    folder = str(tmp_path / "run" / EXPORT_FOLDER)
    scored = score_champion(folder, job.pipeline, job.manifest(), files, 5)
    assert scored["test_price_mae"] == pytest.approx(result.metrics["test_price_mae"], rel=1e-4)
