from __future__ import annotations

from pathlib import Path

import pyarrow.csv as pacsv
import pytest
import yaml

from flows.commands.cli import cli
from flows.report.rejects import (
    RejectedRow,
    Selection,
    rejected_rows,
    shown_value,
    text_of,
    write_rejected,
)
from tests.support.runs import run_of
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import ShardManifest
from transforms.contract.workspace.partition import Partition
from transforms.reading.batches import Reject
from transforms.shards.writer import write_rejects

PNG = b"\x89PNG\r\n\x1a\n\xff\x00"
DECLARATION = {
    "name": "flats",
    "source": {"path": "data", "key": "id", "partition_by": "day"},
    "features": {"area": {"kind": "numeric"}, "photo": {"kind": "image", "height": 8, "width": 8}},
    "targets": {"sold": {"kind": "binary"}},
}


def pipeline_with(**changes):
    return parse({**DECLARATION, "features": {**DECLARATION["features"], **changes}})


@pytest.fixture
def workspace(tmp_path):
    """One run over two partitions, the first of which has rejected rows."""
    folders = Workspace(tmp_path / "workspace")
    days = [Partition(name=f"day={n}", value=str(n), fingerprint=f"f{n}", files=()) for n in (1, 2)]
    for day in days:
        manifest = ShardManifest(
            transform="t", partition=day.name, partition_fingerprint=day.fingerprint, shards=(),
            rows=9,
        )  # fmt: skip
        folder = folders.shards("t", day.name, day.fingerprint)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(manifest.model_dump_json())
    write_rejects(
        folders.rejects("t", "day=1", "f1") / "00000.parquet",
        [
            Reject("a/../b", "part-0", "photo", "undecodable_image", PNG),
            Reject("c", "part-0", "area", "not_finite", b"inf"),
            Reject("d", "part-0", "area", "missing", b"None"),
        ],
    )
    run_of(pipeline_with(), folders, days)
    return folders


def test_rejected_rows_are_those_that_are_asked_for(workspace):
    def keys(**asked):
        rows = rejected_rows(pipeline_with(), workspace, Selection(**asked))
        return [row.key for row in rows]

    assert keys() == ["a/../b", "c", "d"]
    assert keys(columns=("area",)) == ["c", "d"]
    assert keys(columns=("area",), reasons=("missing",)) == ["d"]
    assert keys(partitions=("day=2",)) == []
    with pytest.raises(DeclarationError, match="one of day=1, day=2"):
        keys(partitions=("day=3",))


def test_what_a_sensitive_column_had_is_hidden_also_if_it_is_declared_so_since(workspace):
    pipeline = pipeline_with(area={"kind": "numeric", "sensitive": True})
    rows = list(rejected_rows(pipeline, workspace, Selection(columns=("area",))))
    assert [row.value for row in rows] == [b"(sensitive)", b"(sensitive)"]


def test_values_are_texts_and_pictures_are_files_beside_the_table(workspace, tmp_path):
    output = tmp_path / "x.csv"
    rows = rejected_rows(pipeline_with(), workspace, Selection())
    assert write_rejected(rows, output) == (3, 1)
    table = pacsv.read_csv(output).to_pylist()
    assert [row["value"] for row in table] == ["x-pictures/000001-a_b.png", "inf", ""]
    assert Path(tmp_path, table[0]["value"]).read_bytes() == PNG


@pytest.mark.parametrize(
    ("value", "shown"),
    [(b"12,5 m\xc2\xb2", "12,5 m²"), (PNG, "10 bytes of png"), (b"\xff\xfe", "2 bytes")],
)
def test_a_value_is_shown_as_text_or_by_its_size(value, shown):
    assert shown_value(value) == shown


def test_a_text_with_zeros_is_a_file():
    assert text_of(b"a\0b") is None
    assert RejectedRow("p", "k", "f", "c", "r", b"").value == b""


def test_without_a_run_there_is_nothing_to_show(tmp_path):
    with pytest.raises(BraidError, match="rows that a run has transformed"):
        list(rejected_rows(pipeline_with(), Workspace(tmp_path), Selection()))


def test_the_command_shows_them_harmlessly_and_refuses_to_write_where_rows_are_read(
    workspace, tmp_path, capsys
):
    declaration = tmp_path / "pipeline.yaml"
    declaration.write_text(yaml.safe_dump(DECLARATION))
    write_rejects(
        workspace.rejects("t", "day=2", "f2") / "00000.parquet",
        [Reject("e", "part-1", "area", "not_a_number", b"\x1b[31m[b]red")],
    )
    cli(["rejects", str(declaration)], standalone_mode=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["a/../b", "photo", "undecodable_image", "10", "bytes", "of", "png", "day=1"]
    assert lines[-1] == ["e", "area", "not_a_number", "\\x1b[31m[b]red", "day=2"]
    into_source = ["--output", str(tmp_path / "data" / "x.parquet")]
    with pytest.raises(DeclarationError, match="a file that no run reads as rows"):
        cli(["rejects", str(declaration), *into_source], standalone_mode=False)
