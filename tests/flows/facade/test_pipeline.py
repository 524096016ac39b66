"""A pipeline from Python, up to where a run would begin; the notebook's test runs one."""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import braid
from flows.records.record import write_record
from tests.support.records import run_record
from trainer.registry.registry import ModelRegistry

ROWS = 200
TABLE = pa.table(
    {
        "flat": [f"F{number}" for number in range(ROWS)],
        "area": [20 + number * 37 % 101 for number in range(ROWS)],
        "city": [("Ghent", "Lyon", "Turin")[number * 7 % 3] for number in range(ROWS)],
        "price": [float(number * 53 % 97) for number in range(ROWS)],
    }
)
DECLARATION = """
name: flats
source: {path: nowhere, key: flat}
features: {area: {kind: numeric}}
targets: {price: {kind: numeric}}
"""


@pytest.fixture
def declared(tmp_path):
    (tmp_path / "pipeline.yaml").write_text(DECLARATION)
    return tmp_path / "pipeline.yaml"


def test_a_frame_becomes_a_declaration_and_the_same_again_changes_nothing(tmp_path):
    p = braid.init(TABLE, target="price", folder=tmp_path / "flats")
    assert {name: f.kind for name, f in p.spec.features.items()} == {
        "area": "numeric",
        "city": "categorical",
    }
    assert list(p.spec.targets) == ["price"]
    assert pq.read_table(p.spec.source.path) == TABLE
    p.declaration.write_text(p.declaration.read_text() + "\n# mine\n")
    assert braid.init(TABLE, target="price", folder=tmp_path / "flats").spec == p.spec
    assert p.declaration.read_text().endswith("# mine\n")


def test_equal_rows_are_the_same_whoever_wrote_their_file(tmp_path):
    table = TABLE.append_column("rent", pa.array([math.nan] + [1.0] * (ROWS - 1)))
    p = braid.init(table, target="price", folder=tmp_path)
    pq.write_table(pq.read_table(p.spec.source.path), p.spec.source.path, compression="none")
    city = table["city"].cast(pa.large_string())
    again = table.set_column(table.schema.get_field_index("city"), "city", city)
    assert braid.init(again, target="price", folder=tmp_path).spec == p.spec
    other = table.set_column(table.schema.get_field_index("area"), "area", [[0] * ROWS])
    with pytest.raises(braid.DeclarationError, match="received other rows"):
        braid.init(other, target="price", folder=tmp_path)


def test_a_version_that_no_run_made_has_its_export_and_no_network(declared):
    p = braid.load(declared)
    export = declared.parent / "elsewhere"
    export.mkdir()
    registry = ModelRegistry(p.workspace.root)
    registry.register("flats", export, run_id="by hand", metrics={})
    model = p.model(version="1")
    assert model.export.is_dir()
    with pytest.raises(braid.BraidError, match="expected the files of its run, received no model"):
        _ = model.keras_file


def test_another_frame_and_another_target_need_another_folder(tmp_path):
    braid.init(TABLE, target="price", folder=tmp_path)
    with pytest.raises(braid.DeclarationError, match="received other rows"):
        braid.init(TABLE.slice(1), target="price", folder=tmp_path)
    with pytest.raises(braid.DeclarationError, match="received targets price"):
        braid.init(TABLE, target=["price", "area"], folder=tmp_path)


def test_a_table_in_files_stays_where_it_is(tmp_path, monkeypatch):
    pq.write_table(TABLE, tmp_path / "table.parquet")
    p = braid.init(tmp_path / "table.parquet", target="price", folder=tmp_path / "flats")
    assert p.spec.source.path == str(tmp_path / "table.parquet")
    assert not (tmp_path / "flats" / "data").exists()
    monkeypatch.chdir(tmp_path)
    assert braid.init("table.parquet", target="price", folder="flats").spec == p.spec


def test_overrides_are_those_of_set(declared):
    p = braid.load(declared, overrides={"training.epochs": 3, "schedule": None})
    assert p.spec.training.epochs == 3
    assert p.overrides == ("training.epochs=3", "schedule=null")
    with pytest.raises(braid.DeclarationError, match=r"training\.epoch"):
        braid.load(declared, overrides={"training.epoch": 3})


def test_a_run_that_fails_raises_what_the_command_says(declared, capsys):
    with pytest.raises(braid.BraidError) as failed:
        braid.run(declared)
    assert failed.value.place == f"source.path {declared.parent / 'nowhere'}"
    assert failed.value.action
    assert "nowhere" in capsys.readouterr().out


def test_status_says_what_a_run_would_do(declared):
    (declared.parent / "nowhere").mkdir()
    pq.write_table(TABLE, declared.parent / "nowhere" / "part.parquet")
    status = braid.status(declared)
    assert [part.state for part in status.partitions] == ["new"]
    assert "computes the first transform" in status.lines[-1]


def test_without_a_run_there_is_neither_report_nor_champion(declared):
    p = braid.load(declared)
    assert p.runs() == ()
    with pytest.raises(braid.BraidError, match=r"pipeline 'flats'.*expected a run, received none"):
        p.report()
    with pytest.raises(braid.BraidError, match="a version with the alias 'champion'"):
        _ = p.champion


def test_a_report_is_text_and_has_its_picture_in_a_notebook(declared):
    p = braid.load(declared)
    folder = p.workspace.run("flats", "20260101T000000Z-abcdef")
    folder.mkdir(parents=True)
    record = run_record(run_id=folder.name, status="promoted")
    write_record(folder, record)
    report = p.report()
    assert str(report).startswith("# flats: the new model became the champion")
    assert "(report.png)" in report._repr_markdown_()
    (folder / "report.png").write_bytes(b"picture")
    assert "(data:image/png;base64,cGljdHVyZQ==)" in report._repr_markdown_()
    assert p.report("20260101T000000Z-abcdef").record == record
