"""Processes and hosts that are lost while a pipeline runs on a server."""

from __future__ import annotations

import json
import math
import os
import signal
from collections import Counter

from tests.server.conftest import has_ended
from tests.server.flats import BATCH, DAYS, EPOCHS, Flats
from tests.support.command import until
from tests.support.data_set import data_set

# What the test waits for after every loss, of 90 and 60; heartbeats come every 30 seconds.
_WINDOWS = {"braid: lost runs": 45, "braid: restart crashed runs": 20}
_WAIT_SECONDS = 600.0


def test_a_run_whose_processes_and_hosts_are_lost_ends_as_the_undisturbed_one(
    cluster, prefect, mlflow, scheduled, flats, tmp_path
):
    killed = Flats(tmp_path, "killed", cluster.mlflow)
    cluster.braid("deploy", str(killed.declaration))
    for automation in prefect.everything("automations"):
        prefect.change_automation(automation, within=_WINDOWS[automation["name"]])
    run = prefect.start("braid", "killed")

    def until_learnt(epoch: int, batches: int) -> None:
        def reached() -> bool:
            position = killed.position(epoch)
            return position is not None and position.batches >= batches

        until(reached, seconds=_WAIT_SECONDS)

    # The host that trains, in the middle of an epoch.
    until_learnt(epoch=0, batches=5)
    cluster.lose("gpu")
    cut = killed.position(0)
    assert cut is not None
    cluster.worker("gpu")

    # The process of the flow that waits for the training.
    until_learnt(epoch=1, batches=5)
    os.kill(int(prefect.flow_run(run)["infrastructure_pid"]), signal.SIGKILL)

    # Both hosts, once that flow has been started again.
    def both_work() -> bool:
        flow = prefect.flow_run(run)
        steps = prefect.flow_runs("braid-train", "killed")
        running = [each["state_type"] == "RUNNING" for each in (flow, steps[-1])]
        return flow["run_count"] > 1 and all(running)

    until(both_work, seconds=_WAIT_SECONDS, step=0.5)
    cluster.lose("cpu", "gpu")
    cluster.worker("cpu")
    cluster.worker("gpu")

    until(lambda: has_ended(prefect.flow_run(run)), seconds=_WAIT_SECONDS, step=0.5)
    assert prefect.flow_run(run)["state_type"] == "COMPLETED"
    assert prefect.flow_run(run)["run_count"] > 2
    assert scheduled["state_type"] == "COMPLETED"
    undisturbed = data_set(flats.workspace)
    assert len(undisturbed) == DAYS
    assert data_set(killed.workspace) == undisturbed
    record = killed.record()
    assert record["status"] == "promoted"
    assert record["metrics"] == flats.record()["metrics"], "the models are the same"
    (version,) = mlflow.versions("killed")
    assert mlflow.champion("killed")["version"] == version["version"]
    _assert_each_row_is_learnt_once_an_epoch(killed, cut.batches, record["rows"]["train"])


def _assert_each_row_is_learnt_once_an_epoch(killed: Flats, cut: int, rows: int) -> None:
    """The first process was lost after its checkpoint of the batch `cut`; a second went on."""
    steps = math.ceil(rows / BATCH)
    assert 0 < cut < steps
    before, after, *_ = killed.learnt()
    epoch = [*before[:cut], *after[: steps - cut]]
    counts = Counter(area for batch in epoch for area in batch)
    assert len(counts) == rows
    assert set(counts.values()) == {1}
    (run,) = killed.runs()
    assert len(json.loads((run / "history.json").read_text())["epochs"]) == EPOCHS
