"""The run that a command works on, from the records that earlier ones left."""

from __future__ import annotations

import json
import os

import pytest

from flows.process.attempt import new_attempt
from flows.process.run_copies import give_place
from flows.records import run_identity
from flows.records.plan import plan_run
from flows.records.record import (
    DECLARED_FILE,
    RECORD_FILE,
    RunRecord,
    StepRecord,
    read_record,
    read_records,
    write_record,
)
from flows.records.run_identity import (
    Identity,
    finished_run,
    identity_of,
    is_going_on,
    open_run,
)
from tests.flows.orchestration.test_trainer_flow import Job
from tests.support.bucket import URI, memory_bucket
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.documents import DamagedFile
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.contract.workspace.manifest import ShardManifest
from transforms.contract.workspace.partition import Partition, SourceFile
from transforms.contract.workspace.transform_choice import TransformChoice

IDENTITY = Identity(run="a" * 16, judgement="j1")
OTHER = Identity(run="b" * 16, judgement="j1")


def _pipeline(**changes):
    document = {
        "name": "flats",
        "source": {"path": "/data", "key": "id"},
        "features": {"area": {"kind": "numeric"}},
        "targets": {"sold": {"kind": "binary"}},
    }
    return parse(document | changes)


def _partition(name: str = "day=1", fingerprint: str = "f1") -> Partition:
    files = (SourceFile(path=f"/data/{name}/a.parquet", size=10, modified_ns=1),)
    return Partition(name=name, value=name, fingerprint=fingerprint, files=files)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def _open(workspace, identity=IDENTITY, **options):
    return open_run(
        workspace, _pipeline(), identity, transform="t", partitions=[_partition()], **options
    )


def _end(run, status: str, *steps: str) -> None:
    run.record.status = status
    run.record.steps = [StepRecord(name=name) for name in steps]
    write_record(run.folder, run.record)


def test_rows_declaration_and_training_make_the_identity_and_the_gate_does_not():
    def identity(fingerprint="f1", **changes):
        return identity_of(_pipeline(**changes), "t", [_partition(fingerprint=fingerprint)])

    assert identity() == identity()
    assert identity("f2").run != identity().run
    assert identity(training={"epochs": 3}).run != identity().run
    judged = identity(gate={"at_least": 0.9})
    assert judged.run == identity().run
    assert judged.judgement != identity().judgement


def test_partitions_that_do_not_train_are_no_part_of_the_identity():
    def identity(choice, *days):
        pipeline = _pipeline(
            source={"path": "/data", "key": "id", "partition_by": "day"},
            training={"partitions": choice},
        )
        return identity_of(pipeline, "t", [_partition(f"{day}", fp) for day, fp in days]).run

    early = {"to": 2}
    assert identity(early, (1, "a"), (2, "b")) == identity(early, (1, "a"), (2, "b"), (3, "c"))
    assert identity(early, (1, "a"), (2, "b")) != identity(early, (1, "x"), (2, "b"))
    assert identity("all", (1, "a"), (2, "b")) != identity("all", (1, "a"), (2, "b"), (3, "c"))
    assert identity("all", (1, "a"), (2, "b")) != identity(early, (1, "a"), (2, "b"))
    with pytest.raises(BraidError, match=r"training\.partitions: expected a range with some"):
        identity({"from": 4}, (1, "a"))


def test_a_run_is_up_to_date_once_all_shards_are_there(workspace):
    pipeline = _pipeline(
        source={"path": "/data", "key": "id", "partition_by": "day"},
        training={"partitions": {"to": 1}},
    )
    partitions = [_partition("1"), _partition("2")]
    identity = identity_of(pipeline, "t", partitions)
    run = open_run(workspace, pipeline, identity, transform="t", partitions=partitions[:1])
    _end(run, "promoted", "train")
    _commit(workspace, partitions[0])
    assert _finished(workspace, pipeline, partitions[:1])
    assert not _finished(workspace, pipeline, partitions)
    again = open_run(workspace, pipeline, identity, transform="t", partitions=partitions)
    assert (again.folder, again.resumed) == (run.folder, "what it trained on is the same")
    assert again.record.partitions == {"1": "f1", "2": "f1"}
    assert again.record.step("train") is not None
    _end(again, "promoted", "train")
    _commit(workspace, partitions[1])
    assert _finished(workspace, pipeline, partitions)


def _finished(workspace, pipeline, partitions) -> bool:
    plan = plan_run(pipeline, partitions, workspace, choice=TransformChoice("t"))
    return plan.finished is not None


def _commit(workspace, part) -> None:
    manifest = ShardManifest(
        transform="t",
        partition=part.name,
        partition_fingerprint=part.fingerprint,
        shards=(),
        rows=1,
    )
    path = workspace.shards("t", part.name, part.fingerprint) / "manifest.json"
    write_atomic(path, manifest.model_dump_json())


def test_another_budget_of_rejected_rows_judges_the_same_model_again():
    def identity(fraction):
        pipeline = _pipeline(transform={"max_reject_fraction": fraction})
        return identity_of(pipeline, "t", [_partition()])

    assert identity(0.01).run == identity(0.5).run
    assert identity(0.01).judgement != identity(0.5).judgement


def test_another_evaluation_judges_the_same_model_again_and_the_default_one_is_as_none():
    def identity(**evaluation):
        changes = {"evaluation": evaluation} if evaluation else {}
        return identity_of(_pipeline(**changes), "t", [_partition()])

    assert identity(slices=[{"area": 4}]).run == identity().run
    assert identity(slices=[{"area": 4}]).judgement != identity().judgement
    assert identity(intervals=0.95).judgement == identity().judgement


def test_a_new_run_is_recorded_before_it_works(workspace):
    run = _open(workspace)
    record = read_record(run.folder)
    assert (record.status, record.pid, record.partitions) == (
        "running",
        os.getpid(),
        {"day=1": "f1"},
    )
    assert run.folder.parent == workspace.runs("flats")
    assert run.resumed is None


@pytest.mark.parametrize(("status", "why"), [("running", "was killed"), ("failed", "failed")])
def test_an_unfinished_run_is_resumed_in_its_folder_with_what_it_did(workspace, status, why):
    first = _open(workspace)
    _end(first, status, "train")
    second = _open(workspace)
    assert second.folder == first.folder
    assert why in second.resumed
    assert second.record.step("train") is not None
    assert second.record.status == "running"


def test_an_unfinished_run_of_other_rows_is_abandoned_and_gives_its_checkpoints_back(workspace):
    first = _open(workspace)
    (first.folder / "training").mkdir()
    (first.folder / "training" / "checkpoint").write_text("weights")
    (first.folder / ".tmp-1234-run.json").write_text("half")
    second = _open(workspace, OTHER)
    assert second.folder != first.folder
    assert read_record(first.folder).status == "killed"
    assert read_record(first.folder).abandoned
    assert {path.name for path in first.folder.iterdir()} == {RECORD_FILE, DECLARED_FILE}
    assert _open(workspace).folder not in (first.folder, second.folder), "it stays abandoned"


def test_a_run_that_is_killed_while_it_opens_leaves_no_folder_without_a_record(
    workspace, monkeypatch
):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for write in ("write_record", "write_atomic"):
        with monkeypatch.context() as patch:
            patch.setattr(run_identity, write, killed)
            with pytest.raises(KeyboardInterrupt):
                _open(workspace)
    folders = [folder for folder in workspace.runs("flats").iterdir() if any(folder.iterdir())]
    assert [(folder / RECORD_FILE).exists() for folder in folders] == [True]


@pytest.mark.parametrize("status", ["failed", "stopped"])
def test_how_a_run_ended_stays_whatever_comes_after(workspace, status):
    first = _open(workspace)
    _end(first, status)
    _open(workspace, OTHER)
    record = read_record(first.folder)
    assert (record.status, record.abandoned) == (status, True)
    assert _open(workspace).folder != first.folder, "it is not gone on with"


@pytest.mark.parametrize(("error", "status"), [(None, "killed"), ({"type": "E"}, "failed")])
def test_an_abandoned_run_of_an_older_version_is_read_as_what_it_was(workspace, error, status):
    run = _open(workspace)
    document = run.record.model_dump(mode="json", exclude={"abandoned"})
    (run.folder / "run.json").write_text(
        json.dumps(document | {"status": "abandoned", "error": error})
    )
    record = read_record(run.folder)
    assert (record.status, record.abandoned) == (status, True)


def test_what_an_abandoned_run_handed_over_is_given_up(workspace):
    first = _open(workspace)
    attempt = new_attempt(first.folder, "train", Job())
    _open(workspace, OTHER)
    assert attempt.is_given_up()


def test_an_abandoned_run_leaves_nothing_in_a_bucket(tmp_path):
    with memory_bucket() as bucket:
        workspace = Workspace.declared(tmp_path / "workspace", StoreSpec(path=URI))
        first = _open(workspace)
        copies = give_place(workspace, first.folder)
        attempt = new_attempt(copies.place, "train", Job())
        write_atomic(first.folder / "training" / "state.json", "epoch 1")
        copies.push()
        _open(workspace)
        assert not attempt.is_given_up()
        _open(workspace, OTHER)
        assert bucket.objects == {}
        assert attempt.is_given_up()


@pytest.mark.parametrize("status", ["promoted", "refused"])
def test_nothing_is_new_after_a_finished_run(workspace, status):
    run = _open(workspace)
    assert finished_run(read_records(workspace, "flats"), IDENTITY) is None
    _end(run, status)
    folder, record = finished_run(read_records(workspace, "flats"), IDENTITY)
    assert (folder, record.status) == (run.folder, status)
    assert finished_run(read_records(workspace, "flats"), OTHER) is None


def test_another_gate_judges_the_same_model_again(workspace):
    first = _open(workspace)
    _end(first, "refused", "train", "evaluate", "register", "gate")
    stricter = Identity(IDENTITY.run, "j2")
    assert finished_run(read_records(workspace, "flats"), stricter) is None
    second = _open(workspace, stricter)
    assert second.folder == first.folder
    assert [step.name for step in second.record.steps] == ["train", "evaluate"]


def test_retrain_makes_a_new_run_once_and_resumes_it_if_it_was_killed(workspace):
    first = _open(workspace)
    _end(first, "promoted")
    second = _open(workspace, retrain=True)
    assert second.folder != first.folder
    assert sorted([first.folder, second.folder]) == [first.folder, second.folder]
    assert finished_run(read_records(workspace, "flats"), IDENTITY) is None, (
        "the forced run comes first"
    )
    assert _open(workspace, retrain=True).folder == second.folder


@pytest.mark.parametrize("content", ["", '{"half": ', "[]", "null", "{}", "\x00\xff", "[" * 10_000])
def test_a_record_that_is_not_as_it_was_written_is_named(workspace, content):
    folder = workspace.run("flats", "20260101T000000Z-x")
    folder.mkdir(parents=True)
    assert read_records(workspace, "flats") == [], "a folder without a record is no run"
    (folder / "run.json").write_text(content)
    with pytest.raises(DamagedFile, match=f"{folder}/run.json: expected .* Bring it back"):
        read_records(workspace, "flats")


def test_a_run_goes_on_while_its_process_holds_the_lock(workspace):
    record: RunRecord = _open(workspace).record
    assert not is_going_on(workspace, record)
    with exclusive_lock(workspace.lock("run", "flats"), holder="flats"):
        assert is_going_on(workspace, record)
        gone = record.model_copy(update={"pid": 2**22 + 1})
        assert not is_going_on(workspace, gone)
        for host in ("another-machine", ""):  # where that process may be
            assert is_going_on(workspace, gone.model_copy(update={"host": host}))
    for host in ("another-machine", ""):  # where this process's number is another's
        assert not is_going_on(workspace, record.model_copy(update={"host": host}))
    assert not is_going_on(workspace, record)


def test_a_run_keeps_its_whole_declaration_and_no_secret(workspace, monkeypatch):
    monkeypatch.setenv("STORE_TOKEN", "hunter22")
    declared = _pipeline(
        expect={"area": {"missing_at_most": 0.5}},
        gate={"at_least": 0.9},
        registry={"uri": "postgresql://braid:${STORE_TOKEN}@db/x"},
    )
    run = open_run(workspace, declared, IDENTITY, transform="t", partitions=[_partition()])
    text = (run.folder / DECLARED_FILE).read_text()
    assert json.loads(text) == declared.model_dump(mode="json")
    assert "hunter22" not in text
    judged = _pipeline(gate={"at_least": 0.8})
    other = Identity(IDENTITY.run, "j2")
    open_run(workspace, judged, other, transform="t", partitions=[_partition()])
    assert json.loads((run.folder / DECLARED_FILE).read_text())["gate"]["at_least"] == 0.8
