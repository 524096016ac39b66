"""A person who opens a run in the UI reads what its steps told; bad news are posted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.server.flats import DAYS, EPOCHS, Flats
from tests.support.command import until

_SPAN = "flats, day=2026-01-01 to day=2026-01-03 (3 partitions)"
_WAIT_SECONDS = 120.0
_VARIABLE = "BRAID_TEST_HOOK"
_DRIFT = """
from flows.commands.launch import tell_drift
tell_drift("warned", "logged=2026-11-29", "version 7", "the features area")
"""


@pytest.fixture(scope="module")
def posted() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a receiver, and what was posted to it."""
    documents: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            documents.append(json.loads(body) | {"as": self.headers["Content-Type"]})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/T0", documents
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def warned(tmp_path_factory, cluster, posted) -> Flats:
    """A deployed pipeline that declares the receiver."""
    flats = Flats(tmp_path_factory.mktemp("warned"), "warned", cluster.mlflow)
    document = yaml.safe_load(flats.declaration.read_text())
    document["notify"] = {"webhook": f"${{{_VARIABLE}}}"}
    flats.declaration.write_text(yaml.safe_dump(document))
    cluster.environment[_VARIABLE] = posted[0]
    try:
        told = cluster.braid("deploy", str(flats.declaration))
    finally:
        del cluster.environment[_VARIABLE]  # no worker needs it
    assert posted[0] not in told
    return flats


def test_a_task_has_its_own_log_with_progress_summary_and_rejects(prefect, scheduled):
    logs = prefect.logs(scheduled["id"])
    rejected = f"{2 * DAYS} rows rejected by area: missing"
    transform = logs[f"transform: {_SPAN}"]
    assert any(line.startswith("transform: 300 rows") for line in transform), transform
    assert rejected in transform
    assert rejected in logs[f"rows: {_SPAN}"]
    train = logs[f"train: {_SPAN}"]
    assert any(f" · {EPOCHS} epochs, the best is " in line for line in train), train
    assert any(line.startswith("gate: passed: ") for line in logs[f"gate: {_SPAN}"])
    lines = [line for task in logs.values() for line in task]
    assert len([line for line in lines if line.startswith("gate: ")]) == 1, "told once"
    (step,) = [
        run for run in prefect.flow_runs("braid-train", "flats") if run["name"] == f"train: {_SPAN}"
    ]
    (own,) = prefect.logs(step["id"]).values()
    assert any(f"/{EPOCHS} · loss" in line for line in own), own


def test_the_version_of_the_model_is_a_link(prefect, mlflow, scheduled, flats):
    version = mlflow.champion("flats")["version"]
    link = prefect.artifact("braid-flats-model")
    assert link["data"] == (
        f"[flats version {version}]({mlflow.address}/#/models/flats/versions/{version})"
    )


def test_a_failed_run_is_posted_with_what_is_to_do(prefect, posted, warned):
    run = prefect.start("braid", "warned", overrides=["source.path=nowhere"])
    until(lambda: prefect.flow_run(run)["state_type"] == "FAILED", seconds=_WAIT_SECONDS, step=0.5)
    until(lambda: bool(posted[1]), seconds=_WAIT_SECONDS, step=0.5)
    (document,) = posted[1]
    assert document["as"] == "application/json"
    assert (document["event"], document["pipeline"]) == ("braid.run.failed", "warned")
    assert document["place"].endswith("nowhere")
    assert all(document[part] for part in ("expected", "received", "to_do"))
    assert document["text"].startswith("warned: a run failed. ")
    assert run in document["flow_run"]
    posted[1].clear()


def test_a_drifted_day_is_posted_by_the_command_that_sees_it(cluster, posted, warned):
    done = subprocess.run(
        [sys.executable, "-c", _DRIFT],
        env=cluster.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    until(lambda: bool(posted[1]), seconds=_WAIT_SECONDS, step=0.5)
    (document,) = posted[1]
    assert document["event"] == "braid.day.drifted"
    assert document["place"] == "logged=2026-11-29"
    assert document["received"] == "a difference in the features area"
