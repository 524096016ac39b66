"""A Flink cluster of a JobManager and two TaskManagers, with workers as processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.command import until
from tests.support.runners import (
    FLINK_WORKER,
    IN_PROCESS,
    PROCESS,
    ROOT,
    WORKERS,
    files,
    run,
    write_listings,
)
from transforms.contract.declaration.transform import BeamSpec
from transforms.contract.errors import BraidError
from transforms.runners.job_server import reach

pytestmark = pytest.mark.flink

FLINK = ROOT / "infra" / "flink"
ENDPOINT = "127.0.0.1:8099"
ON_FLINK = BeamSpec(
    runner="PortableRunner",
    options={"job_endpoint": ENDPOINT, "parallelism": WORKERS, **PROCESS},
)


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{'-'.join(arguments)}.log").open("wb") as log:
        process = subprocess.Popen(
            [FLINK / "flink.sh", *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | FLINK_WORKER | {"BRAID_WORKER_LOG": str(folder / "worker.log")},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def task_managers(tmp_path_factory) -> Iterator[list[subprocess.Popen[bytes]]]:
    if shutil.which("java") is None or not list((FLINK / "lib").glob("beam-runners-flink*.jar")):
        pytest.skip("There is no Java, or infra/flink/flink.sh fetch was not run.")
    folder = tmp_path_factory.mktemp("flink")
    with ExitStack() as stack:
        stack.enter_context(started(folder, "jobmanager"))
        managers = [
            stack.enter_context(started(folder, "taskmanager", name)) for name in ("tm1", "tm2")
        ]
        stack.enter_context(started(folder, "job-server"))
        until(job_server_answers)
        yield managers


def job_server_answers() -> bool:
    try:
        reach(ENDPOINT, 1)
    except BraidError:
        return False
    return True


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    return write_listings(tmp_path_factory.mktemp("listings"))


def test_every_file_is_that_of_the_in_process_runner_also_after_a_lost_task_manager(
    task_managers, table: Path
):
    run(table, "in-process", IN_PROCESS)
    run(table, "flink", ON_FLINK)
    assert files(table, "flink") == files(table, "in-process")

    losing = threading.Thread(target=run, args=(table, "losing", ON_FLINK))
    losing.start()
    until(lambda: list((table.parent / "losing").glob("beam/*.arrived")))
    task_managers[0].send_signal(signal.SIGKILL)
    losing.join(300)
    assert files(table, "losing") == files(table, "in-process")
