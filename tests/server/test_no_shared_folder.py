"""A flow and a trainer that share a bucket, and see nothing of each other's folders."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs
import pytest
import yaml

from tests.server.cluster import Cluster
from tests.server.conftest import has_ended
from tests.server.flats import BATCH, EPOCHS, Flats
from tests.support.command import kill_tree, until
from tests.support.s3 import CREDENTIALS, s3_server
from trainer.training.checkpoint import Checkpoints, Position

pytest.importorskip("moto", reason="moto is not installed; the lock has it")

_WAIT_SECONDS = 600.0


@dataclass(frozen=True)
class Machine:
    """A folder that the other machine's processes cannot see.

    Attributes:
        folder: The folder.
    """

    folder: Path

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def worker(self, cluster: Cluster, pool: str, other: Machine) -> None:
        """Starts a worker that sees nothing of another machine, and what it starts neither."""
        variables = {
            "HOME": str(self.folder),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "BRAID_WORKSPACE": str(self.workspace),
        }
        worker = cluster.worker(pool, hidden=other.folder, **variables)
        until(lambda: not list(Path(f"/proc/{worker.process.pid}/root{other.folder}").iterdir()))


@pytest.fixture
def apart(cluster, tmp_path) -> Iterator[tuple[Machine, Machine, str]]:
    """The machine of flows, that of the trainer, and the options by which URLs reach the bucket."""
    cluster.environment.update(CREDENTIALS)
    flow, trainer = Machine(tmp_path / "flow"), Machine(tmp_path / "trainer")
    for machine in (flow, trainer):
        machine.folder.mkdir()
        (machine.folder / "there").touch()
    cluster.lose("cpu", "gpu")
    with s3_server() as s3:
        flow.worker(cluster, "cpu", other=trainer)
        trainer.worker(cluster, "gpu", other=flow)
        yield flow, trainer, s3.options
        cluster.lose("cpu", "gpu")
    cluster.worker("cpu")
    cluster.worker("gpu")


def _declared_in_bucket(machine: Machine, mlflow: str, options: str) -> Flats:
    """Makes the pipeline; its table and its store are in the bucket alone."""
    flats = Flats(machine.folder / "project", "flats", mlflow)
    filesystem, root = pafs.FileSystem.from_uri(f"s3://bucket/table?{options}")
    data = flats.folder / "data"
    pafs.copy_files(str(data), root, destination_filesystem=filesystem)
    shutil.rmtree(data)
    document = yaml.safe_load(flats.declaration.read_text())
    document["name"] = flats.name = "apart"
    document["source"]["path"] = f"s3://bucket/table?{options}"
    document["store"] = f"s3://bucket/braid?{options}"
    flats.declaration.write_text(yaml.safe_dump(document))
    return flats


def test_a_trainer_that_is_killed_goes_on_in_an_empty_workspace_by_the_bucket_alone(
    cluster, prefect, mlflow, scheduled, flats, apart
):
    flow, trainer, options = apart
    project = _declared_in_bucket(flow, cluster.mlflow, options)
    cluster.braid("deploy", str(project.declaration))
    run = prefect.start("braid", "apart")

    def position() -> Position | None:
        for folder in trainer.workspace.glob("runs/apart/*/training"):
            return Checkpoints(folder).position(1)
        return None

    def steps() -> list[dict]:
        return prefect.flow_runs("braid-train", "apart")

    until(
        lambda: (reached := position()) is not None and reached.batches > 9, seconds=_WAIT_SECONDS
    )
    kill_tree(int(steps()[-1]["infrastructure_pid"]))
    lost = trainer.workspace.rename(trainer.folder / "lost")
    learnt = [0]  # batches, until the next step brings the modules anew

    def ended() -> bool:
        learnt.append(_learnt(trainer.workspace))
        return has_ended(prefect.flow_run(run))

    until(ended, seconds=_WAIT_SECONDS, step=0.2)
    assert prefect.flow_run(run)["state_type"] == "COMPLETED"

    record = project.record()
    assert record["status"] == "promoted"
    assert mlflow.champion("apart")["version"] == mlflow.versions("apart")[0]["version"]
    assert scheduled["state_type"] == "COMPLETED"
    assert record["metrics"] == flats.record()["metrics"], "the models are the same"

    states = [step["state_type"] for step in steps()]
    assert sorted(states) == ["COMPLETED"] * 4 + ["CRASHED"]
    before, after = _learnt(lost), max(learnt)
    a_round = math.ceil(record["rows"]["train"] / BATCH)
    assert before > a_round
    assert EPOCHS * a_round - before <= after < EPOCHS * a_round, "it went on"

    (folder,) = project.runs()
    assert (folder / "export" / "braid.json").exists()
    assert not (folder / "training").exists()
    filesystem, root = pafs.FileSystem.from_uri(f"s3://bucket/braid/runs?{options}")
    copies = [
        info.path
        for info in filesystem.get_file_info(pafs.FileSelector(root, recursive=True))
        if info.is_file
    ]
    assert any(path.endswith("/contents.json") for path in copies)
    assert not [path for path in copies if "dispatched" in path or path.endswith(".npz")]


def _learnt(workspace: Path) -> int:
    """Returns how many batches were learnt in a workspace of the trainer's."""
    files = workspace.glob("runs/apart/*/inputs/modules/learnt/*.jsonl")
    return sum(len([json.loads(line) for line in file.read_text().splitlines()]) for file in files)
