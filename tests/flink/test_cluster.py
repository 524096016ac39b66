"""A Flink cluster of a JobManager and two TaskManagers, with workers as processes.

Whatever is killed, each alone and at any time: nothing is lost or torn, and no job is left behind.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
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
)
from tests.support.runners import IN_PROCESS, ROOT, files, run, write_listings

pytestmark = pytest.mark.flink

ROWS = 8_000  # seconds of work for two workers, in two row groups
LONGEST_END = 150.0  # seconds from a kill to the end of the run; a job server tries for a minute
PARTS = {"task-manager": TASK_MANAGERS[0], "job-manager": JOB_MANAGER, "job-server": JOB_SERVER}
FAILED = 3  # of a run that ends in a sentence
RUNNING = f"""
import sys
from pathlib import Path
from tests.support.flink_cluster import ON_FLINK
from tests.support.runners import run
from transforms.contract.errors import BraidError
try:
    run(Path(sys.argv[1]), sys.argv[2], ON_FLINK)
except BraidError as error:
    print(error)
    sys.exit({FAILED})
"""


@dataclass(frozen=True)
class Table:
    """A table that is through both steps in-process.

    Attributes:
        declaration: Its pipeline.yaml.
        seconds: The time that both steps take on the cluster if nothing is killed.
    """

    declaration: Path
    seconds: float


@pytest.fixture(scope="module")
def table(flink: Cluster, tmp_path_factory) -> Table:
    folder = tmp_path_factory.mktemp("mixed")
    write_mixed_table(folder / "mixed.parquet", ROWS)
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE.format(path=folder / "mixed.parquet"))
    run(path, "in-process", IN_PROCESS)
    begun = time.monotonic()
    assert ended(started(path, "undisturbed")) == 0
    seconds = time.monotonic() - begun
    check(path, "undisturbed", flink)
    return Table(path, seconds)


def started(declaration: Path, name: str) -> subprocess.Popen[str]:
    """Starts both steps in a process of their own, which prints the sentence that it ends with."""
    return subprocess.Popen(
        [sys.executable, "-c", RUNNING, str(declaration), name],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def ended(steps: subprocess.Popen[str]) -> int:
    """Awaits the end of the steps, and returns their code: all went well, or it is a sentence."""
    told, _ = steps.communicate(timeout=300)
    if steps.returncode == FAILED:
        sentence = told.splitlines()[-1]
        assert "again" in sentence or "Start it" in sentence, told
    else:
        assert steps.returncode in (0, -signal.SIGKILL), told
    return steps.returncode


def check(declaration: Path, name: str, flink: Cluster) -> None:
    assert files(declaration, name) == files(declaration, "in-process")
    assert list((declaration.parent / name / "beam").iterdir()) == []
    until(lambda: flink.running_jobs() == 0, seconds=60)


def test_every_kind_of_column_is_byte_for_byte_that_of_the_in_process_runner(flink, tmp_path):
    table = write_listings(tmp_path)
    run(table, "in-process", IN_PROCESS)
    run(table, "flink", ON_FLINK)
    check(table, "flink", flink)


@pytest.mark.parametrize("victim", ["worker", *PARTS, "flow"])
def test_whatever_is_killed_at_any_time_the_same_command_makes_the_same_files(
    flink: Cluster, table: Table, victim: str
):
    seed = os.environ.get("BRAID_TEST_SEED") or str(random.randrange(10**6))
    moment = random.Random(f"{seed} {victim}").uniform(0, table.seconds)
    sys.stdout.write(f"BRAID_TEST_SEED={seed}: {victim} killed after {moment:.1f} s\n")
    steps = started(table.declaration, victim)
    time.sleep(moment)
    if victim == "flow":
        steps.kill()
    elif victim == "worker":
        until(lambda: flink.kill_worker(TASK_MANAGERS[0]) or steps.poll() is not None)
    else:
        flink.kill(PARTS[victim])
    killed = time.monotonic()
    code = ended(steps)
    assert time.monotonic() - killed < LONGEST_END
    if victim in ("worker", "task-manager"):
        assert code == 0, "others do its units"
    if victim in PARTS:
        flink.start(PARTS[victim])
        flink.until_ready()
    if code != 0:
        assert ended(started(table.declaration, victim)) == 0
    check(table.declaration, victim, flink)
