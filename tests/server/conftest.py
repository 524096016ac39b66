"""The servers, once a session, and a pipeline that a schedule has run on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.api import Mlflow, Prefect
from tests.server.cluster import Cluster
from tests.server.flats import Flats
from tests.support.command import until

_WAIT_SECONDS = 600.0  # some 60 on two idle cores
_TIMEOUT_SECONDS = 1800


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        started.start()
        started.worker("cpu")
        started.worker("gpu")
        yield started
    finally:
        started.close()


@pytest.fixture(scope="session")
def prefect(cluster: Cluster) -> Prefect:
    return Prefect(cluster.prefect_api)


@pytest.fixture(scope="session")
def mlflow(cluster: Cluster) -> Mlflow:
    return Mlflow(cluster.mlflow)


@pytest.fixture(scope="session")
def flats(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Flats:
    return Flats(tmp_path_factory.mktemp("flats"), "flats", cluster.mlflow)


@pytest.fixture(scope="session")
def scheduled(cluster: Cluster, prefect: Prefect, flats: Flats) -> dict[str, Any]:
    """The first flow run that the schedule of the deployed pipeline made, at its end.

    The pipeline is deployed again while it runs, without the schedule.
    """
    schedule = json.dumps({"cron": "* * * * *"})
    cluster.braid("deploy", str(flats.declaration), "--set", f"schedule={schedule}")

    def first() -> dict[str, Any] | None:
        runs = prefect.flow_runs("braid", "flats")
        return runs[0] if runs else None

    def begun() -> bool:
        run = first()
        return run is not None and run["state_type"] == "RUNNING"

    def ended() -> bool:
        return all(has_ended(run) for run in prefect.flow_runs("braid", "flats"))

    until(begun, seconds=_WAIT_SECONDS, step=0.5)
    cluster.braid("deploy", str(flats.declaration))
    until(ended, seconds=_WAIT_SECONDS, step=0.5)
    return first()


def has_ended(run: dict[str, Any]) -> bool:
    """Returns whether a flow run is in a state that it will not leave by itself."""
    return run["state_type"] in ("COMPLETED", "FAILED", "CANCELLED")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Shows the end of every server's and worker's log where a test failed."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and cluster is not None:
        report.sections.append(("servers and workers", cluster.tails()))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test here, which leaves them out unless the marker is asked for."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.server)
            item.add_marker(pytest.mark.timeout(_TIMEOUT_SECONDS))
