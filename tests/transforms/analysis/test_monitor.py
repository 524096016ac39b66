from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.conftest import Table
from transforms.analysis.freeze import analyze
from transforms.analysis.monitor import monitor
from transforms.contract.errors import BraidError
from transforms.contract.steps.monitoring import MonitorJob, MonitorResult

Monitored = Callable[..., MonitorResult]
ROWS = 500


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, Path]:
    """A frozen transform of a number and a city, with a model's answers for its test rows."""
    from tests.transforms.conftest import write_rows
    from transforms.contract.declaration.parsing import parse

    folder = tmp_path_factory.mktemp("monitored")
    random = np.random.default_rng(0)
    rows = {"id": [f"r{i}" for i in range(4000)], "fold": ["train"] * 4000}
    rows |= _features(random, 4000)
    rows["sold"] = (random.random(4000) < 0.5).tolist()
    write_rows(rows, folder / "data" / "rows.parquet", row_group_size=4000)
    document = {
        "name": "flats",
        "source": {"path": str(folder / "data"), "key": "id"},
        "split": {"by": "column", "column": "fold"},
        "features": {
            "area": {"kind": "numeric", "scale": "log"},
            "city": {"kind": "categorical", "missing": "reject"},
            "owner": {"kind": "categorical", "sensitive": True},
        },
        "targets": {"sold": {"kind": "binary"}},
    }
    table = Table(parse(document), folder / "data", folder / "workspace")
    analyze(table.job().model_dump_json())
    answers = folder / "answers.npz"
    np.savez(
        answers,
        **{"answer.sold": random.random(4000), "answer.kind": np.array(["x", "y"] * 2000)},
    )
    return table, answers


def _features(random: np.random.Generator, rows: int, *, shift: float = 0.0) -> dict[str, list]:
    return {
        "area": np.exp(random.normal(size=rows) + 4 + shift).tolist(),
        "city": random.choice(["Rome", "Oslo", "Bonn"], rows).tolist(),
        "owner": random.choice(["Ann", "Bea"], rows).tolist(),
    }


@pytest.fixture
def monitored(frozen: tuple[Table, Path], tmp_path: Path) -> Monitored:
    """Returns a function that compares logged rows, some of whose columns are given."""
    table, answers = frozen

    def compare(*, shift: float = 0.0, files: int = 1, **columns: list) -> MonitorResult:
        random = np.random.default_rng(1)
        logged = {"id": ["row"] * ROWS, **_features(random, ROWS, shift=shift)}
        logged |= {"owner": [None] * ROWS, "braid.version": ["3"] * ROWS}
        logged |= {"prediction.sold": random.random(ROWS).tolist()}
        logged |= {"prediction.kind": random.choice(["x", "y"], ROWS).tolist()} | columns
        for place, rows in enumerate(np.array_split(np.arange(ROWS), files)):
            part = {name: [values[row] for row in rows] for name, values in logged.items()}
            if place % 2:  # as a request's texts are kept that spell numbers
                part["area"] = [repr(number) for number in part["area"]]
            pq.write_table(pa.table(part), tmp_path / f"{place}.parquet")
        job = table.job()
        return monitor(
            MonitorJob(
                pipeline=job.pipeline,
                statistics=str(job.folders().transform(job.transform) / "statistics"),
                log=str(tmp_path),
                answers=str(answers),
                version="3",
            ).model_dump_json()
        )

    return compare


def _differing(result: MonitorResult) -> list[str]:
    compared = {**result.features, **result.predictions}
    return sorted(name for name, each in compared.items() if each.is_alarm)


def test_a_day_like_the_training_rows_is_no_alarm(monitored: Monitored) -> None:
    result = monitored()
    assert (result.rows, result.refused, result.answers) == (ROWS, 0, ROWS)
    assert sorted(result.features) == ["area", "city"], "what is sensitive is in no log"
    assert sorted(result.predictions) == ["kind", "sold"]
    assert _differing(result) == []


def test_a_shift_of_three_tenths_of_a_deviation_is_found_in_five_hundred_rows(
    monitored: Monitored,
) -> None:
    assert _differing(monitored(shift=0.3)) == ["area"]


def test_a_day_is_the_same_in_one_file_and_in_many_of_two_schemas(monitored: Monitored) -> None:
    whole, parts = monitored(), monitored(files=30)
    assert (parts.rows, parts.answers) == (ROWS, ROWS)
    assert parts.features == whole.features
    assert parts.predictions == whole.predictions


def test_new_values_and_other_answers_are_found(monitored: Monitored) -> None:
    cities = ["Kiel" if i % 20 == 0 else ("Rome", "Oslo", "Bonn")[i % 3] for i in range(ROWS)]
    assert _differing(monitored(city=cities)) == ["city"]
    sold = np.random.default_rng(2).beta(2, 1, ROWS).tolist()
    assert _differing(monitored(**{"prediction.sold": sold})) == ["sold"]
    kinds = ["x" if i % 3 else "z" for i in range(ROWS)]
    assert _differing(monitored(**{"prediction.kind": kinds})) == ["kind"]


def test_answers_of_another_version_and_rows_that_training_rejects_are_not_compared(
    monitored: Monitored,
) -> None:
    others = {"braid.version": ["2"] * ROWS}
    sold = np.random.default_rng(2).beta(2, 1, ROWS).tolist()
    result = monitored(**{"prediction.sold": sold}, **others)
    assert (result.answers, _differing(result)) == (0, [])
    cities = [None if i % 2 else ("Rome", "Oslo", "Bonn")[i // 2 % 3] for i in range(ROWS)]
    result = monitored(city=cities)
    assert (result.rows, result.refused) == (ROWS // 2, ROWS // 2)
    with pytest.raises(BraidError, match="none, and 500 that it would reject"):
        monitored(city=[None] * ROWS)
