"""The answer of `braid check` to files that the demo of a whole run does not have."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.checks.check_data import check_data
from flows.commands.check import check
from flows.records.backfill_record import RECORD_FILE
from flows.records.kept import write_kept
from flows.records.record import write_record
from tests.support.records import backfill_record
from tests.support.runs import flats, run_of
from transforms.contract.steps.tuning import Trial, write_trial
from transforms.contract.workspace.drift import MeasuredDrift
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import ShardManifest
from transforms.reading.cutting import WindowCounts

PIPELINE = flats()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Returns one with an unfinished run, a tuning, a backfill, windows and a measured drift."""
    workspace = Workspace(tmp_path / "workspace")
    run = run_of(PIPELINE, workspace)
    write_atomic(run.log.folder / "evaluation.json", "{}")
    write_atomic(run.log.folder / "training" / "state.json", "{}")
    (run.log.folder / "training" / "refit").mkdir()
    np.savez(run.log.folder / "training" / "refit" / "epoch-0001.npz", np.zeros(9))
    tuning = workspace.tunings("flats") / "t"
    write_record(tuning, run.log.record)
    trial = Trial(number=0, status="complete", loss=1.0, changes={}, parameters={}, seconds=1)
    write_trial(tuning / "trials", trial)
    write_kept(workspace.backfills("flats") / "b" / RECORD_FILE, backfill_record())
    counts = WindowCounts(rows=3, entities=1, short=0, windows=2, straddling=0)
    write_atomic(workspace.windows("w") / "windows.json", counts.model_dump_json())
    pq.write_table(pa.table({"x": [1, 2]}), workspace.windows("w") / "windows.parquet")
    drift = MeasuredDrift(transform="f", partitions={}, rows=0, features={})
    write_atomic(workspace.drift("f", {}), drift.model_dump_json())
    return workspace


def told(workspace: Workspace, capsys: pytest.CaptureFixture[str], *, repair: bool) -> list[str]:
    check(workspace, None, repair=repair)
    return capsys.readouterr().out.splitlines()


def test_everything_is_looked_at(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(workspace, None, repair=False) == 0
    seen = capsys.readouterr().out
    assert "1 drift file, 1 windows table, 1 run, 1 tuning, 1 backfill in" in seen


REMADE = {
    "windows/w/windows.json": ["windows/w"],
    "windows/w/windows.parquet": ["windows/w"],
    "drift/f/*.json": ["drift/f/*.json"],
    "runs/*/*/evaluation.json": ["runs/*/*/evaluation.json"],
    "runs/*/*/training/state.json": ["runs/*/*/training"],
    "runs/*/*/training/refit/epoch-0001.npz": ["runs/*/*/training"],
}
STAYS = ["runs/*/*/run.json", "tunings/*/*/run.json", "tunings/*/*/trials/*", "backfills/*/*/*"]


@pytest.mark.parametrize("pattern", [*REMADE, *STAYS])
@pytest.mark.parametrize("repair", [False, True])
def test_damage_is_named_and_removed_only_if_a_run_makes_it_again(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], pattern: str, repair: bool
) -> None:
    (path,) = workspace.root.glob(pattern)
    path.write_bytes(path.read_bytes()[:-3])
    others = {p for p in workspace.root.rglob("*") if p.is_file() and p != path}
    lines = told(workspace, capsys, repair=repair)
    assert len([line for line in lines if not line.startswith(("Looked", "All", "1 "))]) == 2
    assert lines[0].startswith(tuple(map(str, {path.relative_to(workspace.root), "windows/w"})))
    is_remade = pattern in REMADE
    assert path.exists() == (not (repair and is_remade))
    gone = [place for p in REMADE.get(pattern, ()) for place in workspace.root.glob(p)]
    assert gone == [] if repair and is_remade else all(other.exists() for other in others)
    assert check(workspace, None, repair=False) == (0 if repair and is_remade else 1)


def test_shards_of_a_transform_that_is_gone_are_made_again(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workspace.shards("t", "all", "f")
    manifest = ShardManifest(
        transform="t", partition="all", partition_fingerprint="f", shards=(), rows=0
    )
    write_atomic(folder / "manifest.json", manifest.model_dump_json())
    assert told(workspace, capsys, repair=True)[0] == (
        "shards/t/all@f: shards of a transform that is gone"
    )
    assert not folder.exists()


@pytest.mark.parametrize("name", ["transform", "partition_fingerprint"])
def test_a_manifest_in_the_place_of_another_is_damage(workspace: Workspace, name: str) -> None:
    workspace.transform("t").mkdir(parents=True)
    fields = {"transform": "t", "partition": "all", "partition_fingerprint": "f"} | {name: "x"}
    manifest = ShardManifest(**fields, shards=(), rows=0)
    write_atomic(workspace.shards("t", "all", "f") / "manifest.json", manifest.model_dump_json())
    defects = [
        defect for defect in check_data(workspace, Counter()) if "shards" in str(defect.path)
    ]
    assert [defect.what for defect in defects] == ["what belongs into the folder x"]
