"""What one workspace of a bucket needs stays there, whatever the others do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from flows.orchestration.run_steps import transform_lock
from flows.process.child import StepStopped
from flows.retention.exclusion import exclusive
from flows.retention.needed_shards import Needed
from flows.retention.store_needs import (
    begin_to_need,
    join_store,
    needs_of_others,
    note_needs,
    sweeping,
)
from flows.retention.sweep import Sweep
from tests.support.bucket import URI, MemoryBucket, memory_bucket
from tests.support.runs import told_by
from tests.support.shards import (
    DAY_1,
    DAY_2,
    OURS,
    data_declaration,
    flats_run,
    shard_manifest,
    transform_manifest,
)
from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.errors import BraidError
from transforms.contract.leases import lease as leases
from transforms.contract.leases.lease import LeaseDocument, LeaseLost, lease_place
from transforms.contract.leases.versioned import read_versioned, write_versioned
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition


@pytest.fixture
def bucket() -> Iterator[MemoryBucket]:
    with memory_bucket() as memory:
        yield memory


@pytest.fixture
def pair(tmp_path, bucket) -> tuple[Workspace, Workspace]:
    """Two workspaces of one bucket."""
    first, second = (Workspace.declared(tmp_path / n, StoreSpec(path=URI)) for n in "ab")
    return first, second


def freeze(workspace: Workspace, name: str, *parts: Partition) -> None:
    manifest = transform_manifest(name, *parts, declaration=data_declaration(workspace))
    write_atomic(workspace.transform(name) / "transform.json", manifest.model_dump_json())


def commit(workspace: Workspace, transform: str, *parts: Partition) -> None:
    for part in parts:
        write_atomic(workspace.shards(transform, *part.id) / "train.tfrecord", "x")
        manifest = shard_manifest(transform, part).model_dump_json()
        write_atomic(workspace.manifest(transform, *part.id), manifest)
        declaration = data_declaration(workspace)
        write_atomic(workspace.statistics(declaration, *part.id), "x")


def run(workspace: Workspace, *parts: Partition) -> str:
    """Runs up to the shards, which are there, and returns what was told."""
    begun = flats_run(workspace, *parts)
    with transform_lock(begun):
        pass
    return told_by(begun)


def test_a_transform_stays_until_no_workspace_needs_it(pair):
    first, second = pair
    freeze(first, "old", DAY_1)
    commit(first, "old", DAY_1)
    other = flats_run(second, DAY_1)
    with other.log.recording() as record:
        record.transform = "old"
    note_needs(second)
    freeze(first, OURS, DAY_1)
    commit(first, OURS, DAY_1)
    told = run(first, DAY_1)
    assert "removed" not in told
    assert "gone for good" not in told
    assert first.read_transform("old") is not None
    assert second.is_committed("old", *DAY_1.id)

    with other.log.recording() as record:
        record.abandoned, record.status = True, "killed"
    assert "removed 1 older transform" in run(second, DAY_1)
    assert first.read_transform("old") is None


def test_what_stays_for_a_workspace_that_is_quiet_for_long_is_told(pair):
    first, second = pair
    freeze(first, "old", DAY_1)
    note_needs(second, Needed(frozenset({"old"})))
    (note,) = (first.stored / "needs").children()
    document = json.loads(note.read_bytes()) | {"written": "2020-01-01T00:00:00Z"}
    write_atomic(note, json.dumps(document))
    freeze(first, OURS, DAY_1)
    commit(first, OURS, DAY_1)
    told = " ".join(run(first, DAY_1).split())
    assert f"in {note} ({second.root} on " in told
    assert "since 2020-01-01): remove that file if the workspace is gone for good" in told
    note.delete()
    assert "removed 1 older transform" in run(first, DAY_1)


def test_shards_that_one_source_has_no_more_stay_for_a_workspace_whose_source_has_them(pair):
    first, second = pair
    freeze(first, OURS, DAY_1, DAY_2)
    commit(first, OURS, DAY_1, DAY_2)
    run(first, DAY_1, DAY_2)
    run(second, DAY_1, DAY_2)
    run(first, DAY_1)
    statistics = first.statistics(data_declaration(first), *DAY_2.id)
    assert first.is_committed(OURS, *DAY_2.id)
    assert statistics.exists()
    run(second, DAY_1)
    assert not first.is_committed(OURS, *DAY_2.id)


def test_who_begins_to_need_something_waits_for_the_sweep_that_may_not_know(pair, monkeypatch):
    monkeypatch.setattr(leases, "_LOOK_SECONDS", 0.01)
    first, second = pair
    join_store(first)
    begun, reporter = threading.Event(), flats_run(second, DAY_1).log.reporter
    needs = Needed().and_by("new", [DAY_1.id])

    def begin() -> None:
        begin_to_need(second, needs, reporter)
        begun.set()

    with sweeping(first) as check:
        thread = threading.Thread(target=begin)
        thread.start()
        assert not begun.wait(0.3)
        check()
    thread.join(10)
    assert begun.is_set()
    assert "another run removes what nothing needs" in reporter.console.file.getvalue()
    assert ("new", DAY_1.id) in needs_of_others(first).shards


def test_a_note_that_cannot_be_read_lets_nothing_be_removed(pair):
    first, second = pair
    join_store(second)
    (note,) = (first.stored / "needs").children()
    write_atomic(note, "{")
    freeze(first, "old", DAY_1)
    freeze(first, OURS, DAY_1)
    commit(first, OURS, DAY_1)
    with pytest.raises(BraidError, match=r"needs/\w+\.json: .*gone for good, remove the file"):
        run(first, DAY_1)
    assert first.read_transform("old") is not None


def test_who_wants_to_write_shards_waits_for_the_workspace_that_does(pair, monkeypatch):
    monkeypatch.setattr(leases, "_LOOK_SECONDS", 0.01)
    first, second = (flats_run(workspace, DAY_1) for workspace in pair)
    entered = threading.Event()

    def work() -> None:
        with transform_lock(second):
            entered.set()

    with transform_lock(first):
        thread = threading.Thread(target=work)
        thread.start()
        assert not entered.wait(0.3)
        freeze(pair[0], OURS, DAY_1)
        commit(pair[0], OURS, DAY_1)
    thread.join(10)
    assert entered.is_set()
    told = " ".join(told_by(second).split())
    assert "another pipeline's run writes the same shards (one in process" in told
    assert "of another workspace); waiting for it" in told
    assert second.work.manifests([DAY_1])


def take_over(place: BucketPath) -> None:
    """Takes a lease that is held, as who has watched it for a term does."""
    document = LeaseDocument(workspace="b", holder="7 on other", token="t", term=60.0, renewals=1)
    content = document.model_dump_json().encode()
    while write_versioned(place, content, over=read_versioned(place)) is None:
        pass


def test_a_lease_that_another_workspace_took_over_ends_the_steps_with_a_sentence(pair, monkeypatch):
    monkeypatch.setattr(leases, "TERM_SECONDS", 0.2)
    begun, place = flats_run(pair[0], DAY_1), lease_place(pair[0].stored, "transform", OURS)

    def work() -> None:
        with transform_lock(begun):
            take_over(place)
            assert begun.processes.stopping.wait(10)
            raise StepStopped("transform")

    with pytest.raises(LeaseLost, match=rf"transform/{OURS}\.json: .*process 7 on other"):
        work()


@pytest.mark.parametrize("kind", ["transform", "store"])
def test_nothing_is_removed_without_its_lease(pair, monkeypatch, kind):
    workspace, _ = pair
    freeze(workspace, OURS, DAY_1, DAY_2)
    commit(workspace, OURS, DAY_1, DAY_2)
    run(workspace, DAY_1, DAY_2)
    names = {"transform": OURS, "store": "sweep"}
    committed = Workspace.committed

    def overtaken(*arguments):
        there = committed(*arguments)
        take_over(lease_place(workspace.stored, kind, names[kind]))
        return there

    begun, present = flats_run(workspace, DAY_1), [DAY_1.id]
    with exclusive(workspace, "transform", OURS) as hold, monkeypatch.context() as patch:
        patch.setattr(Workspace, "committed", overtaken)
        with pytest.raises(LeaseLost):
            Sweep(workspace, begun.work.pipeline, OURS, present, hold).run()
    assert workspace.is_committed(OURS, *DAY_2.id)


def test_a_workspace_that_works_with_a_bucket_is_known_there(pair, bucket):
    for workspace in pair:
        join_store(workspace)
        join_store(workspace)
    places = (json.loads(place.read_bytes())["place"] for place in bucket_notes(pair[0]))
    assert sorted(place.split(" on ")[0] for place in places) == [str(w.root) for w in pair]


def bucket_notes(workspace: Workspace) -> list:
    return (workspace.stored / "needs").children()


def test_a_bucket_that_refuses_to_be_written_is_one_sentence(pair, bucket):
    def refuse(path, metadata):
        raise OSError("PERMISSION_DENIED")

    bucket.open_output_stream = refuse
    with pytest.raises(BraidError, match=r"needs/\w+\.json: .*PERMISSION_DENIED.*this user access"):
        join_store(pair[0])


def test_without_a_store_nothing_is_noted(tmp_path):
    join_store(Workspace(tmp_path / "w"))
    assert not (tmp_path / "w").exists()


def test_a_store_on_a_disk_belongs_to_one_workspace(tmp_path):
    first, second = (Workspace(tmp_path / name, tmp_path / "store") for name in "ab")
    join_store(first)
    with pytest.raises(BraidError, match="that of the workspace"):
        join_store(second)
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["braid-store.json"]
