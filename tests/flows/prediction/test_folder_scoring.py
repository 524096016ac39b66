"""Tables that are scored into a folder by a model that doubles x: what is done, and done again."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from rich.console import Console

from flows.commands.cli import cli
from flows.console.progress import Reporter
from flows.prediction import folder_scoring, unit_scoring
from flows.prediction.folder_scoring import FolderRequest, Teller, follow, score_folder
from trainer.registry.version import RegisteredVersion
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock

SOURCE = {"path": "declared", "key": "id", "partition_by": "day"}
DECLARATION = {
    "name": "flats",
    "source": SOURCE,
    "features": {"x": {"kind": "numeric", "missing": "reject"}},
    "targets": {"y": {"kind": "numeric"}},
}


class Registry:
    """A registry of versions whose models double x, and count the rows that they are given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.champion = "1"
        self.asked = 0
        self.stop_after: int | None = None

    def find(self, *_, alias: str, version: str | None) -> RegisteredVersion:
        number = version or self.champion
        return RegisteredVersion("flats", number, "", "", 0)

    def export_folder(self, registered: RegisteredVersion) -> Path:
        export = self.folder / registered.version
        export.mkdir(exist_ok=True)
        (export / "braid.json").write_text(registered.version)
        return export

    def load(self, export: str):
        factor = 2.0 * int(Path(export).name)

        def score(columns):
            if self.stop_after is not None and self.asked >= self.stop_after:
                raise KeyboardInterrupt
            self.asked += len(columns["x"])
            return {"y": columns["x"] * factor}

        model = SimpleNamespace(score=score, pipeline=parse(DECLARATION), unusable=lambda _: {})
        return model, {"y": np.zeros(1, np.float32)}


@pytest.fixture
def registry(tmp_path, monkeypatch) -> Registry:
    registry = Registry(tmp_path / "registry")
    registry.folder.mkdir()
    monkeypatch.setattr(folder_scoring, "open_registry", lambda *_: registry)
    monkeypatch.setattr(folder_scoring, "declared_pipeline", lambda _: parse(DECLARATION))
    monkeypatch.setattr(unit_scoring, "_load", registry.load)
    return registry


@pytest.fixture
def table(tmp_path, registry) -> Path:
    """Two days, one with a row that training would reject."""
    write(tmp_path / "rows", 1, {"a": 1.0, "b": None})
    write(tmp_path / "rows", 2, {"c": 3.0})
    return tmp_path / "rows"


def write(table: Path, day: int, rows: dict[str, float | None]) -> Path:
    path = table / f"day={day}" / "rows.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    written = pa.table({"id": list(rows), "x": pa.array(rows.values(), pa.float64())})
    pq.write_table(written, path, row_group_size=1)
    return path


def request(table: Path, **changes) -> FolderRequest:
    asked = FolderRequest(
        parse(DECLARATION),
        Workspace(table.parent / "workspace"),
        Path("pipeline.yaml"),
        source=str(table),
        output=f"file://{table.parent}/scores",
        alias="champion",
    )
    return replace(asked, **changes)


def teller() -> Teller:
    return Teller(Reporter(Console(file=io.StringIO(), width=200)))


def told_by(teller: Teller) -> list[str]:
    """Returns the lines on partitions that ended."""
    lines = teller.reporter.console.file.getvalue().splitlines()
    return [" ".join(line.split()) for line in lines if line.strip()[0] in "✓✗"]


def scores(table: Path) -> dict[str, tuple[str, float | None, str | None]]:
    """Returns the day, the prediction and the error of every row, each of which is there once."""
    read = pads.dataset(table.parent / "scores", partitioning=pads.HivePartitioning(
        pa.schema([("day", pa.string())])
    )).to_table()  # fmt: skip
    rows = {row["id"]: (row["day"], row["y"], row["error"]) for row in read.to_pylist()}
    assert len(rows) == read.num_rows
    return rows


def test_every_row_is_in_its_partition_with_a_prediction_or_a_reason(table, registry):
    told = teller()
    done = score_folder(request(table), told)
    assert scores(table) == {
        "a": ("1", 2.0, None),
        "b": ("1", None, "x: missing"),
        "c": ("2", 6.0, None),
    }
    assert (done.model, done.before, done.failed()) == ("flats version 1", 0, 0)
    total = done.total()
    assert (total.rows, total.scored, total.reasons) == (3, 2, {"x: missing": 1})
    assert told_by(told) == [
        "✓ day=1 2 rows · 1 scored · 1 in error",
        "✓ day=2 1 row · 1 scored · 0 in error",
    ]


def test_what_is_done_is_not_done_again(table, registry):
    score_folder(request(table), teller())
    assert registry.asked == 2
    again = score_folder(request(table), teller())
    assert (registry.asked, again.partitions, again.before) == (2, (), 2)


def test_a_new_partition_and_one_whose_files_have_changed_are_all_that_is_scored(table, registry):
    score_folder(request(table), teller())
    registry.asked = 0
    write(table, 2, {"c": 30.0, "d": 4.0})
    write(table, 3, {"e": 5.0})
    done = score_folder(request(table), teller())
    assert ([p.name for p in done.partitions], done.before) == (["day=2", "day=3"], 1)
    assert registry.asked == 3
    assert {key: y for key, (_, y, _) in scores(table).items()} == {
        "a": 2.0,
        "b": None,
        "c": 60.0,
        "d": 8.0,
        "e": 10.0,
    }


def test_another_champion_scores_all_partitions_anew(table, registry):
    score_folder(request(table), teller())
    registry.champion = "2"
    done = score_folder(request(table), teller())
    assert (done.model, len(done.partitions)) == ("flats version 2", 2)
    assert {key: y for key, (_, y, _) in scores(table).items()} == {"a": 4.0, "b": None, "c": 12.0}


def test_a_scoring_that_is_stopped_goes_on_with_the_units_that_are_left(
    table, registry, monkeypatch
):
    monkeypatch.setattr("transforms.source.units._UNIT_BYTES", 1)  # a unit a row group
    write(table, 1, {"a": 1.0, "b": 2.0, "c2": 3.0, "d": 4.0})
    registry.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        score_folder(request(table), teller())
    assert list((table.parent / "scores").rglob("*.parquet")) == []
    registry.stop_after = None
    score_folder(request(table), teller())
    assert registry.asked == 5, "every row is scored once"
    assert {key: y for key, (_, y, _) in scores(table).items()} == {
        "a": 2.0,
        "b": 4.0,
        "c2": 6.0,
        "d": 8.0,
        "c": 6.0,
    }


def test_a_partition_that_cannot_be_read_does_not_stop_the_others(table, registry):
    bad = write(table, 2, {"c": 3.0})
    write(table, 3, {"e": 5.0})
    whole = bad.read_bytes()
    bad.write_bytes(whole[:-20])
    told = teller()
    done = score_folder(request(table), told)
    assert (done.failed(), list(scores(table))) == (1, ["a", "b", "e"])
    assert told_by(told)[0].startswith(f"✗ day=2 {bad}: expected a whole Parquet file")
    bad.write_bytes(whole)
    assert score_folder(request(table), told).failed() == 0
    assert list(scores(table)) == ["a", "b", "c", "e"]


def test_rows_without_partitions_are_one(table, registry):
    done = score_folder(request(table, source=str(table / "day=2" / "rows.parquet")), teller())
    assert [p.name for p in done.partitions] == ["day=2"], "its folder says so"
    plain = table.parent / "plain.parquet"
    (table / "day=2" / "rows.parquet").rename(plain)
    output = str(table.parent / "plain scores")
    score_folder(request(table, source=str(plain), output=output), teller())
    (part,) = Path(output).glob("part-*.parquet")
    assert pq.read_table(part).to_pylist() == [{"id": "c", "y": 6.0, "error": None}]


def test_a_part_without_any_prediction_has_the_columns_of_the_others(table, registry):
    write(table, 1, {"b": None})
    score_folder(request(table), teller())
    schemas = [pq.read_schema(path) for path in (table.parent / "scores").glob("day=*/*.parquet")]
    assert schemas[0] == schemas[1]


def test_the_partition_s_column_is_in_the_folders_alone(table, registry, monkeypatch):
    keyed = parse(DECLARATION | {"source": SOURCE | {"key": ["day", "id"]}})
    monkeypatch.setattr(folder_scoring, "declared_pipeline", lambda _: keyed)
    score_folder(request(table), teller())
    (part,) = (table.parent / "scores" / "day=2").glob("*.parquet")
    assert pq.ParquetFile(part).schema_arrow.names == ["id", "y", "error"]
    assert pq.read_table(table.parent / "scores")["day"].cast("int64").to_pylist() == [1, 1, 2]


@pytest.mark.parametrize("below", ["", "/scores", "/day=3"])
def test_predictions_are_not_written_among_the_rows(table, registry, below):
    with pytest.raises(DeclarationError, match="a folder that is not read as --input"):
        score_folder(request(table, output=f"{table}{below}"), teller())
    declared = parse(DECLARATION | {"source": SOURCE | {"path": str(table)}})
    other = str(table.parent / "other.csv")
    with pytest.raises(DeclarationError, match="a folder that no run reads as rows"):
        score_folder(
            request(table, pipeline=declared, source=other, output=f"{table}{below}"), teller()
        )


@pytest.mark.parametrize(
    ("source", "output", "is_among"),
    [
        ("gs://b/rows", "gs://b/rows/scores", True),
        ("gs://b/rows/*/x.parquet", "gs://b/rows/scores", True),
        ("gs://b/rows", "gs://b/rows-scored", False),
        ("gs://b/rows", "gs://other/rows/scores", False),
        ("gs://b/rows", "/rows/scores", False),
        ("/rows", "file:///rows/scores", True),
        ("/rows/*.csv", "/rows/scores", False),
    ],
)
def test_a_bucket_s_rows_are_kept_from_predictions_too(source, output, is_among):
    from flows.prediction.prediction_file import refuse_output_folder

    table = parse(DECLARATION).source
    if not is_among:
        refuse_output_folder(output, source, table)
        return
    with pytest.raises(DeclarationError, match="--input"):
        refuse_output_folder(output, source, table)


def test_windows_are_scored_into_a_file(table, registry, monkeypatch):
    windows = {"time": "t", "length": 2, "values": ["x"]}
    series = DECLARATION | {
        "source": {"path": "declared", "windows": windows},
        "split": {"by": "time", "column": "t", "validation_from": 10, "test_from": 20},
        "features": {"x": {"kind": "sequence", "length": 2}},
        "targets": {"y": {"kind": "numeric", "column": "x_next_1"}},
    }
    monkeypatch.setattr(folder_scoring, "declared_pipeline", lambda _: parse(series))
    with pytest.raises(DeclarationError, match="a row is a window"):
        score_folder(request(table), teller())


def test_two_commands_do_not_write_one_folder(table, registry):
    asked = request(table)
    lock = asked.workspace.lock("predictions", folder_scoring.fingerprint(asked.output))
    with (
        exclusive_lock(lock, holder="another"),
        pytest.raises(BraidError, match="no other run at the same time"),
    ):
        score_folder(asked, teller())


def test_a_folder_is_followed_and_each_partition_scored_and_told_once(table, registry, monkeypatch):
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            write(table, 3, {"e": 5.0})
        elif len(waits) in (2, 3):
            (table / "day=4").mkdir(exist_ok=True)
            (table / "day=4" / "rows.parquet").write_bytes(b"torn")
        elif len(waits) == 4:
            write(table, 4, {"f": 6.0})
        elif len(waits) > 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", wait)
    told = teller()
    with pytest.raises(KeyboardInterrupt):
        follow(request(table), told, 7.0)
    assert set(waits) == {7.0}
    lines = told_by(told)
    assert [line.split()[:2] for line in lines] == [
        ["✓", "day=1"],
        ["✓", "day=2"],
        ["✓", "day=3"],
        ["✗", "day=4"],
        ["✓", "day=4"],
    ]
    assert registry.asked == 4


def test_what_goes_wrong_while_a_folder_is_followed_is_told_once(table, registry, monkeypatch):
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            table.rename(table.parent / "gone")
        elif len(waits) == 3:
            (table.parent / "gone").rename(table)
            write(table, 3, {"e": 5.0})
        elif len(waits) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", wait)
    told = teller()
    with pytest.raises(KeyboardInterrupt):
        follow(request(table), told, 1.0)
    assert [line.split()[:2] for line in told_by(told)] == [
        ["✓", "day=1"],
        ["✓", "day=2"],
        ["✗", "follow"],
        ["✓", "day=3"],
    ]


def test_a_folder_that_cannot_be_followed_at_all_ends_the_command(table, registry):
    with pytest.raises(BraidError, match="nothing there"):
        follow(request(table, source=str(table / "none")), teller(), 1.0)


def test_the_command_gives_what_became_of_every_partition(table, registry):
    (table / "day=3").mkdir()
    (table / "day=3" / "rows.parquet").write_bytes(b"torn")
    declaration = table.parent / "pipeline.yaml"
    declaration.write_text(yaml.safe_dump(DECLARATION))
    command = ["predict", str(declaration), "--input", str(table), "--json"]
    output = f"{table.parent / 'scores'}/"
    done = CliRunner().invoke(cli, [*command, "--output", output], catch_exceptions=False)
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    result = told["result"]
    assert (told["exit_code"], result["model"], result["before"]) == (1, "flats version 1", 0)
    assert result["predictions"] == {"rows": 3, "scored": 2, "reasons": {"x: missing": 1}}
    parts = {part["name"]: part["rows"] for part in result["partitions"] if not part["error"]}
    assert parts == {"day=1": 2, "day=2": 1}


def test_a_file_cannot_be_followed(table, registry):
    declaration = table.parent / "pipeline.yaml"
    declaration.write_text(yaml.safe_dump(DECLARATION))
    command = ["predict", str(declaration), "--input", str(table), "--output", "p.csv", "--follow"]
    with pytest.raises(DeclarationError, match="an --output that is a folder"):
        CliRunner().invoke(cli, command, catch_exceptions=False)
