"""A Flink cluster of infra/flink on loopback: a JobManager, two TaskManagers, Beam's job server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.command import children, processes_with, until
from tests.support.runners import FLINK_WORKER, PROCESS, ROOT, WORKERS
from transforms.contract.declaration.transform import BeamSpec
from transforms.contract.errors import BraidError
from transforms.runners.job_server import reach

FLINK = ROOT / "infra" / "flink"
ENDPOINT = "127.0.0.1:8099"
ON_FLINK = BeamSpec(
    runner="PortableRunner",
    options={"job_endpoint": ENDPOINT, "parallelism": WORKERS, **PROCESS},
)
JOB_MANAGER, JOB_SERVER = ("jobmanager",), ("job-server",)
TASK_MANAGERS = ("taskmanager", "tm1"), ("taskmanager", "tm2")
_REST = "http://127.0.0.1:8081"
_POOL = "transforms.runners.worker_pool"


def what_lacks() -> str | None:
    """Returns why there can be no cluster here, as a sentence, or None."""
    if shutil.which("java") is None or not list((FLINK / "lib").glob("beam-runners-flink*.jar")):
        return "There is no Java, or infra/flink/flink.sh fetch was not run."
    return None


class Cluster:
    """The processes of a cluster, of which each can be killed and started again.

    Args:
        folder: Where their logs go.
        variables: Of their environment, beside those of the workers.
        hidden: A folder that TaskManagers and their workers see without what is in it.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str], hidden: Path | None) -> None:
        self.hidden = hidden
        own = {"BRAID_WORKER_LOG": str(folder / "worker.log"), "TMPDIR": str(folder)}
        self._environment = {**os.environ, **FLINK_WORKER, **own, **variables}
        self._folder = folder
        self._groups: list[int] = []
        self._processes: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}

    def start(self, *parts: tuple[str, ...]) -> None:
        """Starts parts of it, named as for flink.sh."""
        for part in parts:
            with (self._folder / f"{'-'.join(part)}.log").open("ab") as log:
                self._processes[part] = subprocess.Popen(
                    [*self._apart(part), FLINK / "flink.sh", *part],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,
                )
            self._groups.append(self._processes[part].pid)

    def _apart(self, part: tuple[str, ...]) -> list[str]:
        """Returns what a command of a part begins with, so that the folder is empty for it."""
        if self.hidden is None or part not in TASK_MANAGERS:
            return []
        unshare = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
        mount = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
        return [*unshare, "sh", "-c", mount, str(self.hidden)]

    def sessions(self) -> set[int]:
        """Returns the sessions of its processes, workers among them."""
        return set(self._groups)

    def kill(self, part: tuple[str, ...]) -> None:
        """Kills one of its processes, and none that it started."""
        self._processes[part].send_signal(signal.SIGKILL)
        self._processes[part].wait()

    def kill_worker(self, part: tuple[str, ...]) -> bool:
        """Kills a worker of a TaskManager, and returns whether there was one."""
        pools = set(processes_with(_POOL)) & set(children(self._processes[part].pid))
        workers = [worker for pool in pools for worker in children(pool)]
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        return bool(workers)

    def until_ready(self) -> None:
        """Waits until the TaskManagers have offered their slots, and the job server answers."""
        until(lambda: _asked("/overview").get("taskmanagers") == len(TASK_MANAGERS))
        until(_job_server_answers)

    def running_jobs(self) -> int:
        """Returns how many jobs run or wait on the JobManager."""
        ended = {"FINISHED", "FAILED", "CANCELED"}
        return sum(job["state"] not in ended for job in _asked("/jobs/overview")["jobs"])

    def end(self) -> None:
        """Kills all of it."""
        for group in self._groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in self._processes.values():
            process.wait()


@contextmanager
def cluster(
    folder: Path, variables: Mapping[str, str] | None = None, hidden: Path | None = None
) -> Iterator[Cluster]:
    """Yields a cluster that is ready, and ends with the block."""
    parts = Cluster(folder, variables or {}, hidden)
    try:
        parts.start(JOB_MANAGER, *TASK_MANAGERS, JOB_SERVER)
        parts.until_ready()
        yield parts
    finally:
        parts.end()


def _asked(path: str) -> dict:
    try:
        with urllib.request.urlopen(_REST + path, timeout=5) as answer:
            return json.load(answer)
    except (urllib.error.URLError, TimeoutError):
        return {}


def _job_server_answers() -> bool:
    try:
        reach(ENDPOINT, 1)
    except BraidError:
        return False
    return True
