"""What the flow of a run decides by where a run's files and its trainer are."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.orchestration import run_flow
from flows.process.run_copies import give_place
from tests.support.bucket import URI, memory_bucket
from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace


def run_in(workspace: Workspace, *, start: str = "all", elsewhere: object = None):
    notes: list[str] = []
    folder = workspace.run("flats", "r1")
    return SimpleNamespace(
        work=SimpleNamespace(
            workspace=workspace, pipeline=SimpleNamespace(training=SimpleNamespace(start=start))
        ),
        processes=SimpleNamespace(elsewhere=elsewhere),
        log=SimpleNamespace(
            folder=folder, notes=notes, reporter=SimpleNamespace(note=notes.append)
        ),
    )


@pytest.mark.parametrize(
    ("store", "elsewhere", "begins"),
    [
        (None, None, True),
        (None, "a pool", True),
        (StoreSpec(path=URI), None, True),
        (StoreSpec(path=URI), "a pool", False),
    ],
)
def test_a_training_begins_before_all_is_transformed_where_it_sees_the_transforms_lock(
    tmp_path, store, elsewhere, begins
):
    workspace = Workspace.declared(tmp_path, store)
    run = run_in(workspace, start="streaming", elsewhere=elsewhere)
    assert run_flow._may_train_beside(run) == begins
    assert not run_flow._may_train_beside(run_in(workspace, elsewhere=elsewhere))


def trained(tmp_path: Path):
    """Returns a run whose model is trained and in the bucket, with its checkpoints."""
    run = run_in(Workspace.declared(tmp_path, StoreSpec(path=URI)))
    for name in ("model.keras", "training/epoch-0001.npz", "training/state.json"):
        write_atomic(run.log.folder / name, name)
    give_place(run.work.workspace, run.log.folder).push()
    return run


def test_checkpoints_go_from_the_bucket_too_once_the_model_is_whole(tmp_path):
    with memory_bucket() as bucket:
        run = trained(tmp_path)
        run_flow._remove_checkpoints(run)
        names = {path.rpartition("-")[2] for path in bucket.objects}
    assert not (run.log.folder / "training").exists()
    assert "model.keras" in names
    assert not names & {"0001.npz", "state.json"}


def test_a_bucket_that_is_away_at_the_end_does_not_fail_a_run_that_ended_well(tmp_path):
    with memory_bucket() as bucket:
        run = trained(tmp_path)
        bucket.failures = [OSError("ACCESS_DENIED")] * 3
        run_flow._remove_checkpoints(run)
    assert run.log.notes == ["  checkpoints stay in the store: ACCESS_DENIED"]
