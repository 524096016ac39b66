from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from flows.process.run_copies import give_place
from flows.records.record import RunRecord
from flows.retention import pruning
from flows.retention.pruning import (
    prunable,
    remove_interrupted,
    remove_run,
    remove_version,
)
from tests.support.bucket import URI, memory_bucket
from tests.support.records import run_record
from trainer.registry.champions import ChampionChange, History
from trainer.registry.registry import ModelRegistry
from trainer.registry.version import RegisteredVersion
from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def run(number: int, status: str = "promoted", **changes) -> tuple[Path, RunRecord]:
    record = run_record(run_id=f"r{number}", partitions={}, status=status, **changes)
    return Path(f"r{number}"), record


def version(number: int, run_id: str = "", aliases: tuple[str, ...] = ()) -> RegisteredVersion:
    run_id = run_id or f"flats/r{number}"
    return RegisteredVersion("flats", str(number), run_id, "", 0, aliases=aliases)


def old(runs, versions, history=None, keep=1, others=()):
    pruned = prunable("flats", runs, versions, history or History(), keep=keep, others=others)
    return [v.version for v in pruned.versions], [record.run_id for _, record in pruned.runs]


FIVE_RUNS = [run(number) for number in range(1, 6)]
FIVE = [version(number) for number in range(1, 6)]


def test_the_newest_runs_and_versions_stay():
    assert old(FIVE_RUNS, FIVE, keep=2) == (["1", "2", "3"], ["r1", "r2", "r3"])
    assert old(FIVE_RUNS, FIVE, keep=5) == ([], [])
    assert old(FIVE_RUNS, FIVE, keep=9) == ([], [])


def test_a_version_with_an_alias_stays_with_its_run():
    versions = [version(1), version(2, aliases=("champion",)), *FIVE[2:]]
    assert old(FIVE_RUNS, versions) == (["1", "3", "4"], ["r1", "r3", "r4"])


def test_what_a_rollback_goes_back_to_stays():
    changes = tuple(
        ChampionChange(at=NOW, what="hand", version=v, before=b, by="me", state="done")
        for v, b in (("1", None), ("5", "1"))
    )
    history = History(champion="5", changes=changes)
    assert old(FIVE_RUNS, FIVE, history) == (["2", "3", "4"], ["r2", "r3", "r4"])


@pytest.mark.parametrize("status", ["running", "failed", "stopped"])
def test_what_may_be_resumed_stays_with_the_version_that_it_works_with(status):
    runs = [*FIVE_RUNS[:2], run(3, status, warm_start="1", compared_with="2"), *FIVE_RUNS[3:]]
    assert old(runs, FIVE) == (["4"], ["r4"])
    abandoned = [*FIVE_RUNS[:2], run(3, "failed", abandoned=True, warm_start="1"), *FIVE_RUNS[3:]]
    assert old(abandoned, FIVE) == (["1", "2", "3", "4"], ["r1", "r2", "r3", "r4"])


def test_the_run_by_which_the_next_one_sees_that_nothing_is_new_stays():
    runs = [run(1), run(2), run(3, "failed", abandoned=True), run(4, "failed", abandoned=True)]
    assert old(runs, FIVE[:2]) == (["1"], ["r1", "r3"])


def test_another_pipelines_versions_and_what_its_runs_work_with_stay():
    versions = [version(1), version(2, "other/r9"), *FIVE[2:]]
    others = [run(7, "running", warm_start="3")[1]]
    assert old(FIVE_RUNS, versions, others=others) == (["1", "4"], ["r1", "r2", "r4"])


def killed(*_arguments) -> NoReturn:
    raise KeyboardInterrupt


def test_what_a_killed_removal_left_of_a_run_goes_with_the_next(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path)
    for name in ("a", "b"):
        (tmp_path / "runs" / name / "export").mkdir(parents=True)
    remove_run(workspace, "flats", tmp_path / "runs" / "a")
    with monkeypatch.context() as patch:
        patch.setattr(pruning, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_run(workspace, "flats", tmp_path / "runs" / "b")
    remove_interrupted(workspace, "flats", ModelRegistry(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert not list((tmp_path / "runs").iterdir())


def test_a_run_goes_with_its_copies_in_a_bucket(tmp_path):
    with memory_bucket() as bucket:
        workspace = Workspace.declared(tmp_path, StoreSpec(path=URI))
        for name in ("a", "b"):
            folder = workspace.run("flats", name)
            write_atomic(folder / "model.keras", name)
            give_place(workspace, folder).push()
        remove_run(workspace, "flats", workspace.run("flats", "a"))
        assert bucket.objects
        assert not [path for path in bucket.objects if "/flats/a-" in path]


class Registry:
    """The registry of one version with a folder, which may be another address's."""

    address = "here"

    def __init__(self, folder: Path) -> None:
        self.folders, self.is_there = (folder,), True

    def local_folders(self, _version: RegisteredVersion) -> tuple[Path, ...]:
        return self.folders

    def remove(self, _version: RegisteredVersion) -> None:
        self.is_there = False

    def find(self, _name: str, *, version: str) -> RegisteredVersion | None:
        return RegisteredVersion("flats", version, "", "", 0) if self.is_there else None


def test_what_another_pipeline_s_prune_is_at_is_let_alone(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path / "workspace")
    workspace.root.mkdir()
    (tmp_path / "runs" / "a").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(pruning, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_run(workspace, "flats-2", tmp_path / "runs" / "a")
    remove_interrupted(workspace, "flats", ModelRegistry(tmp_path))
    assert len(list(workspace.root.iterdir())) == 1
    remove_interrupted(workspace, "flats-2", ModelRegistry(tmp_path))
    assert not list(workspace.root.iterdir())


@pytest.mark.parametrize("forgotten", [True, False])
def test_the_files_of_a_version_go_if_the_registry_has_forgotten_it(
    tmp_path, monkeypatch, forgotten
):
    workspace, folder = Workspace(tmp_path / "workspace"), tmp_path / "elsewhere" / "artifacts"
    folder.mkdir(parents=True)
    registry = Registry(folder)
    with monkeypatch.context() as patch:
        patch.setattr(pruning if forgotten else registry, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_version(workspace, "flats", registry, version(1))
    other = Registry(folder)
    other.address, other.is_there = "elsewhere", False
    remove_interrupted(workspace, "flats", other)
    assert folder.exists(), "another registry's"
    remove_interrupted(workspace, "flats", registry)
    assert folder.exists() != forgotten
    assert not list(workspace.root.iterdir())
