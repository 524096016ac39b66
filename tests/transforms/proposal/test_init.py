"""`braid init --from`: a table that nobody prepared becomes a declaration that runs."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
import yaml
from click.testing import CliRunner

from flows.commands.cli import cli
from tests.support.command import BRAID
from tests.transforms.proposal.tables import (
    png,
    write_events,
    write_items,
    write_members,
    write_visits,
)
from transforms.contract.errors import DeclarationError


def _init(tmp_path: Path, table: Path, *targets: str) -> tuple[dict, str]:
    """Returns what `braid init` writes, as a document and as text; it is valid."""
    folder = tmp_path / "project"
    named = [word for target in targets for word in ("--target", target)]
    done = CliRunner().invoke(cli, ["init", str(folder), "--from", str(table), *named])
    assert done.exception is None, done.exception
    text = (folder / "pipeline.yaml").read_text()
    valid = CliRunner().invoke(cli, ["validate", str(folder / "pipeline.yaml")])
    assert valid.exception is None, f"{valid.exception}\n{text}"
    return yaml.safe_load(text), text


def test_every_column_of_a_mixed_csv_has_a_kind_or_a_reason(tmp_path):
    document, text = _init(tmp_path, write_members(tmp_path), "left")
    assert document["source"] == {
        "path": str(tmp_path / "members.csv"), "format": "csv", "key": "member",
    }  # fmt: skip
    assert document["features"] == {
        "age": {"kind": "numeric"},
        "income": {"kind": "numeric", "missing": "missing_indicator"},
        "Zip_Code": {"kind": "categorical", "column": "Zip Code"},
        "city": {"kind": "categorical"},
        "smoker": {"kind": "categorical"},
        "note": {"kind": "text"},
        "joined": {
            "kind": "datetime",
            "format": "%m/%d/%y",
            "parts": ["day_of_week", "day_of_month", "day_of_year", "trend"],
        },
    }
    assert document["targets"] == {"left": {"kind": "binary", "positive": "yes"}}
    assert "category: 3 values in 400 rows" in text
    assert "code that looks like a number: 60 values in 400 rows" in text
    assert '# fee: left out: a number inside a text ("$1,000.50")' in text
    assert "# plan: left out: constant" in text
    assert "# reason_code: left out: this column alone predicts left, AUC 1.000: a leak?" in text


def test_pictures_lists_and_series_of_a_parquet_file(tmp_path):
    document, _ = _init(tmp_path, write_items(tmp_path), "price")
    assert document["source"]["key"] == "item_id"
    assert document["features"] == {
        "photo": {"kind": "image", "height": 40, "width": 30},
        "tags": {"kind": "categorical", "length": 2},
        "signal": {"kind": "sequence", "length": 24},
        "history": {"kind": "sequence", "length": 13, "variable": True},
        "corner": {"kind": "numeric", "length": 2},
    }
    assert document["targets"] == {"price": {"kind": "numeric"}}


def test_rows_in_the_order_of_a_time_are_split_by_it_and_hive_folders_are_partitions(tmp_path):
    document, _ = _init(tmp_path, write_events(tmp_path), "y")
    assert document["source"]["partition_by"] == "day"
    assert document["split"] == {
        "by": "time", "column": "at",
        "validation_from": "2026-01-04T04:40:00", "test_from": "2026-01-04T14:00:00",
    }  # fmt: skip
    assert document["features"] == {"at": {"kind": "datetime"}, "x": {"kind": "numeric"}}


def test_days_that_name_rows_are_learnt_from_and_split_by_in_the_format_of_the_table(tmp_path):
    days = [date(2026, 1, 1) + timedelta(days=i) for i in range(300)]
    rows = {"day": [f"{day:%Y/%m/%d}" for day in days], "sales": [i % 17 for i in range(300)]}
    pacsv.write_csv(pa.table(rows), tmp_path / "sales.csv")
    document, _ = _init(tmp_path, tmp_path / "sales.csv", "sales")
    assert document["source"]["key"] == "day"
    assert document["features"]["day"] == {
        "kind": "datetime",
        "format": "%Y/%m/%d",
        "parts": ["day_of_week", "day_of_month", "day_of_year", "trend"],
    }
    assert document["split"] == {
        "by": "time", "column": "day", "validation_from": "2026/08/29", "test_from": "2026/09/28",
    }  # fmt: skip


def test_dates_in_the_path_are_partitions(tmp_path):
    for day in (1, 2):
        folder = tmp_path / "table" / "2026" / "01" / f"0{day}"
        folder.mkdir(parents=True)
        rows = {"row": [f"{day}-{i}" for i in range(50)], "x": list(range(50)), "y": [0, 1] * 25}
        pacsv.write_csv(pa.table(rows), folder / "part.csv")
    document, _ = _init(tmp_path, tmp_path / "table", "y")
    assert document["source"]["partition_by"] == {"path_date": "%Y/%m/%d"}


def test_an_entity_that_repeats_is_the_group_of_the_split(tmp_path):
    document, _ = _init(tmp_path, write_visits(tmp_path), "grade")
    assert document["split"] == {
        "by": "hash", "column": "patient_id", "train": 70, "validation": 15, "test": 15,
    }  # fmt: skip
    assert document["features"] == {"pressure": {"kind": "numeric"}}
    assert document["targets"] == {"grade": {"kind": "multiclass"}}


def test_a_column_that_says_the_split_is_the_split(tmp_path):
    rows = {
        "row": [f"r{i}" for i in range(200)],
        "fold": ["train"] * 150 + ["test"] * 50,
        "x": [i * 0.5 for i in range(200)],
        "y": [0, 1] * 100,
    }
    pacsv.write_csv(pa.table(rows), tmp_path / "rows.csv")
    document, _ = _init(tmp_path, tmp_path / "rows.csv", "y")
    assert document["split"] == {
        "by": "column", "column": "fold", "validation": {"from": "train", "percent": 15},
    }  # fmt: skip
    assert set(document["features"]) == {"x"}


def test_paths_of_pictures_are_pictures_only_where_they_can_be_read(tmp_path):
    (tmp_path / "photos").mkdir()
    for index in range(40):
        (tmp_path / "photos" / f"{index}.png").write_bytes(png(index))
    rows = {
        "row": [f"r{i}" for i in range(40)],
        "photo": [f"photos/{i}.png" for i in range(40)],
        "lost": [f"nowhere/{i}.jpg" for i in range(40)],
        "y": [0, 1] * 20,
    }
    pacsv.write_csv(pa.table(rows), tmp_path / "rows.csv")
    document, text = _init(tmp_path, tmp_path / "rows.csv", "y")
    assert document["features"] == {"photo": {"kind": "image", "height": 40, "width": 30}}
    assert "# lost: left out: paths of pictures that are not below the source's folder" in text


def test_values_that_all_differ_are_no_key_unless_they_name_rows(tmp_path):
    numbers = np.random.default_rng(1).permutation(1_000)[:60].tolist()
    notes = [f"the flat {number} has a view" for number in numbers]
    table = {"price": numbers, "note": notes, "b": [0, 1, 0] * 20}
    pacsv.write_csv(pa.table(table), tmp_path / "t.csv")
    document, text = _init(tmp_path, tmp_path / "t.csv", "b")
    assert "key" not in document["source"]
    assert "# no column names a row: its file and its number do" in text
    assert "by hash of the row's file and number" in text
    assert set(document["features"]) == {"price", "note"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "t.csv"], "no --target"),
        (["--target", "y"], "no --from"),
        (["--from", "t.csv", "--target", "z"], "one of the columns row, x, y"),
        (["--from", "t.xlsx", "--target", "y"], "say what the files are with --format"),
    ],
)
def test_a_wrong_option_is_refused_with_what_to_do(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("row,x,y\n" + "".join(f"r{i},{i},{i % 2}\n" for i in range(30)))
    done = CliRunner().invoke(cli, ["init", "p", *arguments])
    assert isinstance(done.exception, DeclarationError)
    assert said in str(done.exception)


def test_a_declaration_is_never_written_over(tmp_path):
    table = write_visits(tmp_path)
    (tmp_path / "pipeline.yaml").write_text("mine")
    done = CliRunner().invoke(
        cli, ["init", str(tmp_path), "--from", str(table), "--target", "grade"]
    )
    assert isinstance(done.exception, DeclarationError)
    assert (tmp_path / "pipeline.yaml").read_text() == "mine"


def test_the_command_loads_no_framework(tmp_path):
    heavy = ("tensorflow", "apache_beam", "sklearn", "prefect", "keras")
    code = (
        "import sys\n"
        "from flows.commands.cli import cli\n"
        f"cli(['init', {str(tmp_path / 'p')!r}, '--from', {str(write_visits(tmp_path))!r}, "
        "'--target', 'grade'], standalone_mode=False)\n"
        f"print('loaded', [name for name in {heavy} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "loaded []" in done.stdout


def test_what_is_proposed_runs_unedited(tmp_path):
    table = write_members(tmp_path)
    _init(tmp_path, table, "left")
    declaration = tmp_path / "project" / "pipeline.yaml"
    short = ["--set", "training.epochs=1", "--set", "training.members=1"]
    done = subprocess.run(
        [*BRAID, "run", str(declaration), *short], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 3), done.stderr  # 3: one epoch may not beat a constant
    assert list((tmp_path / "project" / "workspace").rglob("export/saved_model.pb"))
