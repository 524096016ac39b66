"""A Flink cluster of a JobManager and two TaskManagers, with workers as processes.

Whatever is killed, each alone: nothing is lost or torn, and no job is left behind.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from tests.support.command import until
from tests.support.flink_cluster import (
    JOB_MANAGER,
    JOB_SERVER,
    ON_FLINK,
    TASK_MANAGERS,
    Cluster,
    cluster,
    what_lacks,
)
from tests.support.runners import IN_PROCESS, ROOT, files, run, write_listings
from transforms.runners.job_server import RunnerFailed

pytestmark = pytest.mark.flink

ROWS = 8_000  # seconds of work for two workers, in two row groups
LONGEST_START = 6.0  # seconds from the first worker's arrival into the transform
RUNNING = """
import sys
from pathlib import Path
from tests.support.flink_cluster import ON_FLINK
from tests.support.runners import run
run(Path(sys.argv[1]), sys.argv[2], ON_FLINK)
"""


@pytest.fixture(scope="module")
def flink(tmp_path_factory) -> Iterator[Cluster]:
    lacks = what_lacks()
    if lacks is not None:
        pytest.skip(lacks)
    with cluster(tmp_path_factory.mktemp("flink")) as parts:
        yield parts


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    write_mixed_table(folder / "mixed.parquet", ROWS)
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE.format(path=folder / "mixed.parquet"))
    run(path, "in-process", IN_PROCESS)
    return path


@contextmanager
def being_run(table: Path, name: str) -> Iterator[Future[None]]:
    """Runs both steps in a thread of this process, whose end the block has to await."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(run, table, name, ON_FLINK)


def arrived(table: Path, name: str) -> bool:
    return any((table.parent / name).glob("beam/*.arrived"))


def transforming(table: Path, name: str) -> bool:
    """Returns whether a unit of the transform is done, and others are not."""
    return any((table.parent / name).glob("shards/**/units/0*.json"))


def check(table: Path, name: str, flink: Cluster) -> None:
    assert files(table, name) == files(table, "in-process")
    assert list((table.parent / name / "beam").iterdir()) == []
    assert flink.running_jobs() == 0


def test_every_kind_of_column_is_byte_for_byte_that_of_the_in_process_runner(flink, tmp_path):
    table = write_listings(tmp_path)
    run(table, "in-process", IN_PROCESS)
    run(table, "flink", ON_FLINK)
    check(table, "flink", flink)


@pytest.mark.parametrize("name", ["task-manager", "worker"])
def test_what_is_killed_at_any_time_is_done_by_another(flink: Cluster, table: Path, name: str):
    wait = random.uniform(0, LONGEST_START)
    with being_run(table, name) as steps:
        until(lambda: arrived(table, name))
        time.sleep(wait)
        if name == "worker":
            until(lambda: flink.kill_worker(TASK_MANAGERS[0]) or steps.done())
        else:
            flink.kill(TASK_MANAGERS[0])
        steps.result(300)
    if name == "task-manager":
        flink.start(TASK_MANAGERS[0])
        flink.until_ready()
    check(table, name, flink)


@pytest.mark.parametrize("part", [JOB_MANAGER, JOB_SERVER])
def test_without_its_servers_a_run_ends_in_a_sentence_and_is_resumed(
    flink: Cluster, table: Path, part: tuple[str, ...]
):
    (name,) = part
    with being_run(table, name) as steps:
        until(lambda: transforming(table, name))
        flink.kill(part)
        killed = time.monotonic()
        with pytest.raises(RunnerFailed, match="Running the same command again") as caught:
            steps.result(300)
    assert time.monotonic() - killed < 150
    assert "\n" not in str(caught.value)
    flink.start(part)
    flink.until_ready()
    run(table, name, ON_FLINK)
    until(lambda: flink.running_jobs() == 0, seconds=60)
    check(table, name, flink)


def test_the_job_of_a_killed_run_is_cancelled_by_the_next(flink: Cluster, table: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNING, str(table), "flow"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    until(lambda: transforming(table, "flow") or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert flink.running_jobs() == 1, "nobody could cancel it"
    run(table, "flow", ON_FLINK)
    check(table, "flow", flink)
