from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from trainer.registry import run_entry
from trainer.registry.registry import ModelRegistry
from trainer.registry.run_entry import DataSet, RunDetails, RunEnd
from transforms.contract.errors import BraidError


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def registry(workspace):
    return ModelRegistry(workspace)


@pytest.fixture(scope="module")
def export(workspace):
    folder = workspace / "run" / "export"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text("graph")
    (folder / "variables" / "data").write_text("weights")
    return folder


def test_looking_at_a_fresh_workspace_finds_and_creates_nothing(tmp_path):
    registry = ModelRegistry(tmp_path)
    assert registry.models() == ()
    assert registry.versions("m") == ()
    assert registry.champion("m") is None
    assert list(tmp_path.iterdir()) == []


def test_a_version_has_the_export_its_metrics_and_its_tags(registry, export):
    version = registry.register(
        "first",
        export,
        run_id="r1",
        metrics={"test_loss": 0.5, "test_auc": float("nan")},
        shown=RunDetails(parameters={"epochs": 3}),
        tags={"transform": "f00d"},
    )
    (registered,) = registry.versions("first")
    assert (registered.version, version) == ("1", "1")
    assert registered.run_id == "r1"
    assert registered.aliases == ("challenger",)
    assert registered.metrics == {"test_loss": 0.5}
    assert registered.tags["transform"] == "f00d"
    folder = registry.export_folder(registered)
    assert (folder / "variables" / "data").read_text() == "weights"
    assert folder != export


def test_a_run_is_registered_once(registry, export):
    shown = RunDetails(parameters={"epochs": 3})
    arguments = {"run_id": "same", "metrics": {"test_loss": 0.5}, "shown": shown}
    first = registry.register("once", export, **arguments)
    assert registry.register("once", export, **arguments) == first
    assert len(registry.versions("once")) == 1


@pytest.mark.parametrize(
    "fails_at", ["log_artifacts", "set_terminated", "create_model_version",
                 "set_registered_model_alias"]
)  # fmt: skip
def test_a_crash_at_any_point_leaves_one_version_after_the_next_try(
    registry, export, monkeypatch, fails_at
):
    name = f"crash_{fails_at}"

    def crash(*_args, **_kwargs):
        raise KeyboardInterrupt

    registry.models()
    with monkeypatch.context() as patch:
        patch.setattr(registry._client(), fails_at, crash)
        with pytest.raises(KeyboardInterrupt):
            registry.register(name, export, run_id="r", metrics={})
    registry.register(name, export, run_id="r", metrics={})

    (version,) = registry.versions(name)
    assert version.version == "1"
    assert version.aliases == ("challenger",)
    assert (registry.export_folder(version) / "saved_model.pb").exists()


def test_a_crash_leaves_neither_a_cut_curve_nor_a_run_without_its_rows(
    registry, export, monkeypatch
):
    curve = [(epoch, float(epoch)) for epoch in range(1, 6)]
    data_set = DataSet("flats.csv", "f" * 36, "data/flats.csv")
    shown = RunDetails(curves={"epoch.train_loss": curve}, data_set=data_set)
    registry.models()
    client = registry._client()
    log_batch = client.log_batch

    def crash(*_args, **_kwargs):
        raise KeyboardInterrupt

    def crash_midway(run, metrics=(), params=()):
        log_batch(run, metrics=metrics, params=params)
        raise KeyboardInterrupt

    monkeypatch.setattr(run_entry, "_MOST_METRICS", 2)
    for method, replacement in (("log_inputs", crash), ("log_batch", crash_midway)):
        with monkeypatch.context() as patch:
            patch.setattr(client, method, replacement)
            with pytest.raises(KeyboardInterrupt):
                registry.register("cut", export, run_id="r", metrics={}, shown=shown)
    registry.register("cut", export, run_id="r", metrics={}, shown=shown)
    run = client.get_run(client.get_model_version("cut", "1").run_id)
    logged = client.get_metric_history(run.info.run_id, "epoch.train_loss")
    assert sorted((point.step, point.value) for point in logged) == curve
    assert [rows.dataset.name for rows in run.inputs.dataset_inputs] == ["flats.csv"]


def test_a_declaration_that_changed_after_a_crash_is_registered(registry, export, monkeypatch):
    def crash(*_args, **_kwargs):
        raise KeyboardInterrupt

    registry.models()
    with monkeypatch.context() as patch:
        patch.setattr(registry._client(), "log_artifacts", crash)
        shown = RunDetails(parameters={"gate": 1})
        with pytest.raises(KeyboardInterrupt):
            registry.register("changed", export, run_id="r", metrics={}, shown=shown)
    shown = RunDetails(parameters={"gate": 2, "registry": "new"})
    registry.register("changed", export, run_id="r", metrics={}, shown=shown)
    assert [v.version for v in registry.versions("changed")] == ["1"]


def test_texts_lie_whole_beside_the_export(registry, export):
    text = "x" * 10_000
    shown = RunDetails(parameters={"d": text}, texts={"d.json": text})
    registry.register("texts", export, run_id="r", metrics={}, shown=shown)
    (version,) = registry.versions("texts")
    folder = registry.export_folder(version)
    assert (folder.parent / "d.json").read_text() == text
    assert not (folder / "d.json").exists()


def test_the_champion_is_whichever_was_promoted_last(registry, export):
    for run in ("a", "b"):
        registry.register("contest", export, run_id=run, metrics={})
    assert registry.champion("contest") is None
    registry.promote("contest", "1")
    assert registry.champion("contest").run_id == "a"
    registry.promote("contest", "2")
    assert registry.champion("contest").run_id == "b"
    assert registry.find("contest", version="1").aliases == ()
    assert registry.find("contest", alias="champion", version="1").run_id == "a"
    assert registry.find("contest", version="9") is None
    assert [v.version for v in registry.versions("contest")] == ["2", "1"]


def test_an_unknown_version_is_refused(registry, export):
    registry.register("refusing", export, run_id="r", metrics={})
    with pytest.raises(BraidError, match=r"registry\.db"):
        registry.promote("refusing", "7")


def test_a_lost_export_is_named(registry, export):
    registry.register("lost", export, run_id="r", metrics={})
    (version,) = registry.versions("lost")
    folder = registry.export_folder(version)
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(BraidError, match="version 1 of lost: expected its export in"):
        registry.export_folder(version)


def test_two_processes_may_use_a_fresh_registry_at_once(tmp_path, export):
    code = (
        "import sys; from pathlib import Path; from trainer.registry.registry import ModelRegistry;"
        f"ModelRegistry(Path({str(tmp_path)!r})).register("
        f"'m', Path({str(export)!r}), run_id=sys.argv[1], metrics={{}})"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, run]) for run in ("x", "y")]
    assert [process.wait() for process in processes] == [0, 0]
    assert {v.run_id for v in ModelRegistry(tmp_path).versions("m")} == {"x", "y"}


@pytest.mark.parametrize("move", [shutil.move, shutil.copytree])
def test_a_workspace_that_was_moved_or_copied_has_its_models_with_it(tmp_path, export, move):
    before, after = tmp_path / "before", tmp_path / "where it is now"
    ModelRegistry(before).register("m", export, run_id="r1", metrics={})
    move(before, after)
    originals = sorted(before.rglob("*")) if before.exists() else []

    registry = ModelRegistry(after)
    assert registry.missing_part_of("m", "1") is None
    folder = registry.export_folder(registry.find("m", version="1"))
    assert folder.is_relative_to(after)
    assert (folder / "saved_model.pb").read_text() == "graph"
    registry.register("m", export, run_id="r2", metrics={})
    registry.register("other", export, run_id="r3", metrics={})
    for name, version in (("m", "2"), ("other", "1")):
        second = registry.export_folder(registry.find(name, version=version))
        assert second.is_relative_to(after)
        assert second.exists()
    assert (sorted(before.rglob("*")) if before.exists() else []) == originals


def test_no_address_of_a_workspace_stays_behind_when_it_is_moved(tmp_path, export):
    """Also not in a column that a later MLflow may have."""
    before, after = tmp_path / "before", tmp_path / "after"
    ModelRegistry(before).register("m", export, run_id="r", metrics={"a": 1.0}, tags={"t": "x"})
    before.rename(after)
    ModelRegistry(after).models()
    with closing(sqlite3.connect(after / "registry.db")) as database:
        dump = "\n".join(database.iterdump())
    assert str(after / "registry") in dump
    assert str(before / "registry") not in dump


@pytest.mark.parametrize(
    ("pragma", "received"),
    [("max_page_count = 1", "No space left on device"), ("query_only = 1", "Permission denied")],
)
def test_a_database_that_cannot_be_written_is_named_in_a_sentence(
    tmp_path, export, capfd, pragma, received
):
    ModelRegistry(tmp_path).register("m", export, run_id="r1", metrics={})

    def limit(connection, _record, _proxy):
        connection.execute(f"PRAGMA {pragma}")

    event.listen(Pool, "checkout", limit)
    try:
        metrics = {f"a metric with a long name {number:0100}": 0.5 for number in range(500)}
        with pytest.raises(BraidError, match=f"registry.db: .*{received}"):
            ModelRegistry(tmp_path).register("m", export, run_id="r2", metrics=metrics)
    finally:
        event.remove(Pool, "checkout", limit)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("lost", ["registry.db", "registry"])
def test_what_is_missing_of_a_version_is_named(tmp_path, export, lost):
    registry = ModelRegistry(tmp_path)
    registry.register("m", export, run_id="r", metrics={})
    assert registry.missing_part_of("m", "1") is None
    assert registry.missing_part_of("m", "2") == f"no version 2 of m in {tmp_path / 'registry.db'}"
    (tmp_path / lost).rename(tmp_path / "elsewhere")
    assert str(tmp_path / lost) in registry.missing_part_of("m", "1")


def test_a_database_that_is_none_is_named(tmp_path):
    (tmp_path / "registry.db").write_text("no database, and longer than its header" * 10)
    with pytest.raises(BraidError, match=r"registry\.db: expected the database"):
        ModelRegistry(tmp_path).missing_part_of("m", "1")


def test_a_run_shows_its_curves_its_rows_and_how_it_ended(registry, export, tmp_path):
    report = tmp_path / "report.html"
    report.write_text("<p>fine</p>")
    started = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
    # More than a server takes at once.
    many = {f"features.f{n}.kind": "numeric" for n in range(250)}
    shown = RunDetails(
        title="flats, auc 0.9",
        started=started,
        parameters=many,
        curves={"epoch.train_loss": [(1, 2.0), (2, float("nan")), (3, 1.0)]},
        data_set=DataSet("flats.csv", "f" * 64, "data/flats.csv", {"train_rows": 70}),
    )
    registry.register("shown", export, run_id="r", metrics={}, shown=shown)
    registry.end_run(
        "shown",
        "1",
        RunEnd("KILLED", started + timedelta(hours=1), {"t": "v"}, [("report", report)]),
    )
    client = registry._client()
    run = client.get_run(client.get_model_version("shown", "1").run_id)
    assert (run.info.run_name, run.info.status) == ("flats, auc 0.9", "KILLED")
    assert run.info.end_time - run.info.start_time == 3_600_000
    assert len(run.data.params) == 250
    assert run.data.tags["t"] == "v"
    curve = client.get_metric_history(run.info.run_id, "epoch.train_loss")
    assert [(point.step, point.value) for point in curve] == [(1, 2.0), (3, 1.0)]
    (rows,) = run.inputs.dataset_inputs
    assert (rows.dataset.name, rows.dataset.digest) == ("flats.csv", "f" * 36)
    folder = registry.export_folder(registry.find("shown", version="1"))
    assert (folder.parent / "report" / "report.html").read_text() == "<p>fine</p>"
