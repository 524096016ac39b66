"""A run's files between two machines' folders and a bucket in memory."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from flows.process import run_copies
from flows.process.attempt import LOCK_FILE
from flows.process.run_copies import (
    RunCopies,
    copies_of,
    give_place,
    remove_copies,
    remove_pushed_runs,
)
from tests.support.bucket import URI, memory_bucket, place_in
from tests.support.command import until
from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.bucket import StoreFailed
from transforms.contract.workspace.documents import DamagedFile
from transforms.contract.workspace.files import replacing, write_atomic
from transforms.contract.workspace.layout import Workspace

RUN = "runs/flats/r1"


@pytest.fixture
def bucket():
    with memory_bucket() as bucket:
        yield bucket


def machine(folder: Path) -> RunCopies:
    """Returns the copies of one run, as a machine of its own has them."""
    return RunCopies(folder / RUN, place_in(folder / "cache") / RUN)


@pytest.fixture
def two(bucket, tmp_path) -> tuple[RunCopies, RunCopies]:
    """Two machines, each with a folder of its own."""
    return machine(tmp_path / "a"), machine(tmp_path / "b")


def write(copies: RunCopies, name: str, content: str = "{}") -> None:
    write_atomic(copies.folder / name, content)


def checkpoint(copies: RunCopies, epoch: int) -> None:
    """Commits an epoch as a training does."""
    folder = copies.folder / "training"
    write_atomic(folder / f"epoch-{epoch:04d}.npz", f"weights {epoch}")
    write_atomic(folder / "state.json", f"epoch {epoch}")
    for path in folder.glob("epoch-*"):
        if path.name != f"epoch-{epoch:04d}.npz":
            path.unlink()


def files_of(copies: RunCopies) -> dict[str, str]:
    folder = copies.folder
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "copies.json")
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def objects_of_run(bucket) -> list[str]:
    return sorted(path for path in bucket.objects if RUN in path)


def test_another_empty_machine_takes_what_was_pushed_last(two):
    first, second = two
    write(first, "recipe.json")
    write(first, "logs/transform.log", "of another step")
    checkpoint(first, 0)
    first.push()
    checkpoint(first, 1)
    first.push()
    checkpoint(first, 2)  # and lost with the machine
    second.pull()
    assert files_of(second) == {
        "recipe.json": "{}",
        "training/epoch-0001.npz": "weights 1",
        "training/state.json": "epoch 1",
    }


def test_a_superseded_checkpoint_goes_once_the_newer_one_is_there(bucket, tmp_path):
    copies = machine(tmp_path)
    for epoch in range(3):
        checkpoint(copies, epoch)
        copies.push()
    names = [path.rpartition("-")[2] for path in objects_of_run(bucket) if path.endswith(".npz")]
    assert names == ["0002.npz"]
    assert len(objects_of_run(bucket)) == 3


def test_what_a_kill_left_in_the_store_goes_with_the_next_machines_first_push(bucket, tmp_path):
    copies = machine(tmp_path)
    checkpoint(copies, 0)
    copies.push()
    bucket.put(
        f"{URI.removeprefix('gs://')}/{RUN}/00-epoch-0009.npz", b"killed before its contents"
    )
    checkpoint(copies, 1)
    machine(tmp_path).push()
    assert not any("0009" in path for path in bucket.objects)


def test_nothing_is_asked_of_the_bucket_while_nothing_changes(bucket, tmp_path):
    copies = machine(tmp_path)
    checkpoint(copies, 0)
    copies.push()
    before = sum(bucket.requests.values())
    copies.push()
    assert sum(bucket.requests.values()) == before


def test_a_machine_that_comes_back_takes_what_another_one_made_of_the_run(two):
    first, second = two
    checkpoint(first, 0)
    first.push()
    second.pull()
    checkpoint(second, 1)
    second.push()
    checkpoint(first, 5)  # of an attempt that was given up
    first.pull()
    assert files_of(first) == files_of(second)


def test_who_went_on_from_an_older_revision_is_refused_and_keeps_its_files(tmp_path, two):
    first, second = two
    checkpoint(first, 0)
    first.push()
    second.pull()
    checkpoint(second, 1)
    second.push()
    checkpoint(first, 7)
    with pytest.raises(BraidError, match="received revision 2, of another machine"):
        first.push()
    assert files_of(first)["training/state.json"] == "epoch 7"
    third = machine(tmp_path / "c")
    third.pull()
    assert files_of(third)["training/state.json"] == "epoch 1"


def test_copies_that_were_removed_from_the_store_go_there_anew(two):
    first, second = two
    checkpoint(first, 0)
    first.push()
    first.place.delete()
    first.pull()
    checkpoint(first, 1)
    first.push()
    second.pull()
    assert files_of(second) == files_of(first)


def test_an_upload_that_fails_costs_nothing_here_or_there(bucket, two):
    first, second = two
    checkpoint(first, 0)
    first.push()
    checkpoint(first, 1)
    bucket.failures = [OSError("SLOW_DOWN")] * 40
    with pytest.raises(StoreFailed, match="SLOW_DOWN"):
        first.push()
    bucket.failures = []
    assert files_of(first)["training/state.json"] == "epoch 1"
    second.pull()
    assert files_of(second)["training/state.json"] == "epoch 0"
    first.push()
    second.pull()
    assert files_of(second) == files_of(first)


def test_a_push_that_arrived_without_an_answer_is_gone_on_from(two, monkeypatch):
    first, second = two

    def no_answer(*_: object) -> None:
        raise StoreFailed("s3", expected="a", received="nothing", action="Wait.")

    checkpoint(first, 0)
    with monkeypatch.context() as patch:
        patch.setattr(first, "_put_note", no_answer)
        with pytest.raises(StoreFailed):
            first.push()
    checkpoint(first, 1)
    first.push()
    second.pull()
    assert files_of(second) == files_of(first)


def test_a_torn_copy_is_fetched_again_and_one_that_is_gone_is_named(bucket, two):
    first, second = two
    write(first, "recipe.json")
    first.push()
    (gone,) = (path for path in bucket.objects if path.endswith("-recipe.json"))
    content = bucket.objects.pop(gone)
    with pytest.raises(DamagedFile, match=r"recipe\.json"):
        second.pull()
    bucket.put(gone, content)
    second.pull()
    assert files_of(second) == {"recipe.json": "{}"}


def test_an_export_comes_whole(bucket, two):
    first, second = two
    with replacing(first.folder / "export") as folder:
        (folder / "variables").mkdir(parents=True)
        (folder / "braid.json").write_text("{}")
        (folder / "variables" / "index").write_text("v")
    first.push()
    (gone,) = (path for path in bucket.objects if path.endswith("-index"))
    content = bucket.objects.pop(gone)
    with pytest.raises(DamagedFile):
        second.pull()
    assert not (second.folder / "export").exists()
    bucket.put(gone, content)
    second.pull()
    assert files_of(second) == {"export/braid.json": "{}", "export/variables/index": "v"}


def test_checkpoints_that_are_replaced_all_the_time_arrive_whole(two, monkeypatch):
    monkeypatch.setattr(run_copies, "_PUSH_SECONDS", 0.001)
    first, second = two
    checkpoint(first, 0)
    first.push()
    seen = set()
    with first.pushing(lambda: True, pytest.fail):
        for epoch in range(1, 60):
            checkpoint(first, epoch)
            second.pull()
            files = files_of(second)
            state = files["training/state.json"].removeprefix("epoch ")
            assert f"weights {state}" in files.values()
            seen.add(state)
    second.pull()
    assert files_of(second) == files_of(first)
    assert len(seen) > 1


def test_a_bucket_that_is_away_for_a_while_is_told_once_and_ends_nothing(
    bucket, tmp_path, monkeypatch
):
    monkeypatch.setattr(run_copies, "_PUSH_SECONDS", 0.001)
    copies, told = machine(tmp_path), []
    bucket.failures = [OSError("ACCESS_DENIED")] * 5
    with copies.pushing(lambda: True, told.append):
        checkpoint(copies, 0)
        until(lambda: not bucket.failures)
    assert len(told) == 1
    assert "ACCESS_DENIED" in told[0]
    assert copies.place.listed()


def test_what_nobody_wants_any_more_is_not_pushed(bucket, tmp_path):
    copies, wanted = machine(tmp_path), threading.Event()
    with copies.pushing(wanted.is_set, pytest.fail):
        checkpoint(copies, 0)
    assert objects_of_run(bucket) == []


def test_a_machine_keeps_no_other_run_but_what_the_store_does_not_have(bucket, tmp_path):
    workspace = Workspace.declared(tmp_path, StoreSpec(path=URI))
    folders = {name: workspace.run("flats", name) for name in ("old", "unsaved", "own", "now")}
    for name, folder in folders.items():
        write_atomic(folder / "recipe.json", "{}")
        (folder / LOCK_FILE).touch()
        RunCopies(folder, workspace.copied_runs("flats") / name).push()
    write_atomic(folders["unsaved"] / "recipe.json", "{ }")
    write_atomic(folders["own"] / "run.json", "{}")
    remove_pushed_runs(folders["now"])
    assert {path.name for path in workspace.runs("flats").iterdir()} == {"unsaved", "own", "now"}


def test_a_removed_run_leaves_no_copy(bucket, tmp_path):
    workspace = Workspace.declared(tmp_path, StoreSpec(path=URI))
    for name in ("r1", "r2"):
        folder = workspace.run("flats", name)
        write_atomic(folder / "recipe.json", "{}")
        give_place(workspace, folder).push()
    remove_copies(workspace, workspace.run("flats", "r1"))
    assert {path.split("/")[4][:3] for path in bucket.objects} == {"r2-"}
    remove_copies(Workspace(tmp_path), workspace.run("flats", "r1"))


def test_runs_of_one_name_in_two_workspaces_of_a_bucket_are_two(bucket, tmp_path):
    both = [Workspace.declared(tmp_path / name, StoreSpec(path=URI)) for name in ("a", "b")]
    for number, workspace in enumerate(both):
        write_atomic(workspace.run("flats", "r1") / "recipe.json", str(number))
        give_place(workspace, workspace.run("flats", "r1")).push()
    for number, workspace in enumerate(both):
        again = give_place(workspace, workspace.run("flats", "r1"))
        again.pull()
        assert (again.folder / "recipe.json").read_text() == str(number)


def test_a_run_without_a_bucket_or_a_place_there_has_no_copies(bucket, tmp_path):
    stored = Workspace.declared(tmp_path, StoreSpec(path=URI))
    assert give_place(Workspace(tmp_path), tmp_path / RUN) is None
    assert copies_of(stored, tmp_path / RUN) is None
    assert not (tmp_path / "runs").exists()
