"""Records as files: what older versions wrote is read, and what is new is left out if unknown."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from flows.console.progress import Reporter
from flows.records.kept import now
from flows.records.log import RunLog
from flows.records.record import (
    ModelVersion,
    RunRecord,
    StepRecord,
    pipelines,
    read_record,
    write_record,
)
from flows.records.step_result import StepResult, idle
from transforms.contract.errors import BraidError
from transforms.contract.steps.results import TrainResult
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import PartitionId

OLDER = {
    "run_id": "20260101T000000Z-aaaaaa",
    "pipeline": "flats",
    "status": "failed",
    "pid": 7,
    "started": "2026-01-01T00:00:00Z",
    "braid_version": "0.0.1",
    "identity": "i",
    "judgement": "j",
    "transform": "t",
    "data_fingerprint": "d",
    "training_fingerprint": "f",
    "partitions": {"day=2": "f2"},
    "past_partitions": [["day=1", "f1"]],
    "steps": [{"name": "train", "seconds": 2.0, "note": "n"}],
    "training": {"epochs": 3, "best_epoch": 2, "warm_start": {"version": "1", "weights": 4}},
    "error": {"type": "OSError", "received": "No space left on device"},
}


@pytest.fixture
def log(tmp_path) -> RunLog:
    record = RunRecord.model_validate(OLDER | {"started": now(), "error": None})
    return RunLog(tmp_path, record, Reporter(Console(file=io.StringIO(), width=200)))


def _told(log: RunLog) -> str:
    return log.reporter.console.file.getvalue()


@pytest.mark.parametrize(
    ("registry", "page"),
    [
        ("http://me:***@host:5000/", "http://host:5000/#/models/my%20flats/versions/7"),
        ("https://host/mlflow", "https://host/mlflow/#/models/my%20flats/versions/7"),
        ("postgresql://host/db", None),
        (None, None),
    ],
)
def test_a_version_has_a_page_where_a_server_shows_one(registry, page):
    assert ModelVersion(name="my flats", version="7", registry=registry).page() == page


def test_a_record_of_an_older_version_is_read(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(OLDER))
    record = read_record(tmp_path)
    assert record.training.epochs == 3
    assert record.training.warm_start.weights == 4
    assert record.error.headline() == "OSError: No space left on device"
    assert record.ever_seen() == {PartitionId("day=1", "f1"), PartitionId("day=2", "f2")}
    assert record.step("train").peak_bytes is None


def test_what_is_written_has_the_shape_that_older_versions_read(tmp_path):
    record = RunRecord.model_validate(OLDER | {"training": {}})
    assert record.training is None
    write_record(tmp_path, record)
    written = json.loads((tmp_path / "run.json").read_text())
    for key in ("training", "error", "partitions", "past_partitions", "status"):
        assert written[key] == (OLDER | {"training": {}})[key]
    assert written["steps"] == [
        {
            "name": "train", "seconds": 2.0, "rows": None, "rows_per_second": None, "note": "n",
            "beside": 0.0,
        }
    ]  # fmt: skip


def test_a_step_is_recorded_with_what_it_changes_at_once(log):
    step = StepRecord(name="export", seconds=1.0)
    with log.recording() as record:
        record.note_training(TrainResult(epochs=9, warnings=("Slow.",)))
        assert log.put(StepResult("export", "4 MB", 4, step)) == 4
        assert read_record(log.folder) is None, "nothing is written before the block ends"
    written = read_record(log.folder)
    assert (written.training.epochs, written.warnings) == (9, ["Slow."])
    assert [each.name for each in written.steps] == ["train", "export"]
    assert "✓ export     4 MB" in _told(log)


def test_a_step_with_nothing_to_do_leaves_what_an_earlier_attempt_did(log):
    log.put(idle("train", "it is there", None))
    log.put(idle("transform", "reuses all", None))
    steps = {step.name: step for step in read_record(log.folder).steps}
    assert (steps["train"].seconds, steps["transform"].note) == (2.0, "reuses all")
    assert "· transform  reuses all" in _told(log)


@pytest.mark.parametrize(
    ("error", "status", "received"),
    [
        (BraidError("a.csv", expected="b", received="c", action="d"), "failed", "c"),
        (KeyboardInterrupt(), "stopped", "Ctrl-C"),
        (ZeroDivisionError("by zero"), "failed", "by zero"),
    ],
)
def test_what_ends_a_run_is_recorded_and_raised(log, error, status, received):
    with pytest.raises(type(error)), log.ending():
        raise error
    written = read_record(log.folder)
    assert (written.status, written.error.received) == (status, received)
    assert written.ended is not None


def test_a_disk_that_is_full_hides_no_error(log, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flows.records.log.write_kept", full)
    with pytest.raises(ZeroDivisionError), log.ending():
        raise ZeroDivisionError
    assert "run.json could not be written: No space left on device" in _told(log)


def test_a_pipeline_that_was_only_backfilled_is_listed(tmp_path):
    workspace = Workspace(tmp_path)
    workspace.backfills("flats").mkdir(parents=True)
    workspace.runs("other").mkdir(parents=True)
    assert pipelines(workspace) == ["flats", "other"]
