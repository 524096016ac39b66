"""The parts of a scheduled set-up, on loopback, for the time of a test session.

PostgreSQL, a Prefect server and an MLflow server on it, and process workers of two pools. Every
process has a log of its own, and none outlives the session.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from tests.support.command import BRAID, kill_tree, processes

_SCRIPTS = Path(sys.executable).parent
_PROJECT = Path(__file__).parents[2]
_MARK = "BRAID_TEST_CLUSTER"  # an environment variable that all its processes inherit
_START_SECONDS = 180.0  # a Prefect server migrates its database first, some 15 s on two idle cores
_TAIL_LINES = 40
# A command that puts an empty folder in the place of one, for itself, and becomes another one.
_HIDING = (
    *("unshare", "--map-root-user", "--mount"),
    *("sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"'),
)


@dataclass(frozen=True)
class Service:
    """A process of the cluster and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """Kills it and all that it started at once, as when its host is lost."""
        kill_tree(self.process.pid)
        self.process.wait()

    def tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"== {self.name}: the end of {self.log}", *lines])


class Cluster:
    """The servers and workers; `start` brings the servers up, `worker` adds a worker.

    Attributes:
        environment: What a client of the servers, or a worker, has in its environment.
        prefect_api: The URL of the Prefect server's API.
        mlflow: The URL of the MLflow server.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services: list[Service] = []
        self._data: Path | None = None
        self._prefect_port, self._mlflow_port = _free_port(), _free_port()
        self.prefect_api = f"http://127.0.0.1:{self._prefect_port}/api"
        self.mlflow = f"http://127.0.0.1:{self._mlflow_port}"
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("PREFECT_", "MLFLOW_"))}
        self.environment = kept | {
            _MARK: str(folder),
            "PATH": f"{_SCRIPTS}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(_PROJECT),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.prefect_api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PREFECT_WORKER_QUERY_SECONDS": "1",  # of 10: tests wait for every hop
            "DO_NOT_TRACK": "1",
        }

    def start(self) -> None:
        """Starts the servers and returns when they answer."""
        database = self._start_postgres()
        prefect = self._launch_prefect(
            PREFECT_API_DATABASE_CONNECTION_URL=f"postgresql+asyncpg://{database}/prefect"
        )
        mlflow = self._launch(
            "mlflow-server",
            [
                *("mlflow", "server", "--host=127.0.0.1", f"--port={self._mlflow_port}"),
                *("--workers=1", f"--backend-store-uri=postgresql://{database}/mlflow"),
                f"--artifacts-destination={self.folder / 'artifacts'}",
            ],
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",  # its evaluations; nothing of ours
        )
        _wait_for(prefect, lambda: _answers(f"{self.prefect_api}/health"))
        _wait_for(mlflow, lambda: _answers(f"{self.mlflow}/health"))

    def start_prefect(self) -> None:
        """Starts Prefect's server alone, on a database in a file; returns when it answers."""
        _wait_for(self._launch_prefect(), lambda: _answers(f"{self.prefect_api}/health"))

    def worker(self, pool: str, *, hidden: Path | None = None, **variables: str) -> Service:
        """Starts a worker of a pool, named after it; it polls as soon as it is up.

        Args:
            pool: The pool.
            hidden: A folder that is an empty one to the worker and to all that it starts.
            **variables: What it has in its environment besides.
        """
        number = sum(service.name.startswith(f"{pool}-") for service in self.services) + 1
        name = f"{pool}-{number}"
        return self._launch(
            name,
            [
                *([] if hidden is None else [*_HIDING, str(hidden)]),
                *("prefect", "worker", "start", f"--pool={pool}", "--type=process"),
                *(f"--name={name}", "--install-policy=never"),
            ],
            **variables,
        )

    def lose(self, *pools: str) -> None:
        """Kills the workers of pools with all that they run, as when their hosts are lost."""
        for service in self.services:
            if service.name.rpartition("-")[0] in pools:
                service.kill()

    def braid(self, *arguments: str) -> str:
        """Runs the public command as a client of the servers; returns what it printed."""
        done = subprocess.run(
            [*BRAID, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def close(self) -> None:
        """Ends every process of the cluster, also those whose worker was killed."""
        for service in reversed(self.services):
            service.kill()
        for pid in _marked(str(self.folder)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._data is not None:
            shutil.rmtree(self._data)

    def tails(self) -> str:
        return "\n\n".join(service.tail() for service in self.services)

    def _launch_prefect(self, **variables: str) -> Service:
        command = ["prefect", "server", "start", "--host=127.0.0.1", f"--port={self._prefect_port}"]
        return self._launch("prefect-server", command, **variables)

    def _start_postgres(self) -> str:
        """Starts PostgreSQL with an empty database for each server; returns `user@host:port`."""
        port, programs = _free_port(), _postgres_programs()
        # Its account could not enter a folder of pytest's.
        data = self._data = Path(tempfile.mkdtemp(prefix="braid-postgres-"))
        account = None if os.getuid() else _unprivileged_account()  # it refuses to run as root
        if account is not None:
            os.chown(data, account, -1)
        initdb = [
            *(str(programs / "initdb"), "--pgdata", str(data), "--username=braid"),
            *("--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"),
        ]
        done = subprocess.run(
            initdb, user=account, cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        server = self._launch(
            "postgres",
            [
                *(str(programs / "postgres"), "-D", str(data), "-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                *("-c", "fsync=off", "-c", "max_connections=200"),
            ],
            user=account,
        )
        address = f"braid@127.0.0.1:{port}"
        _wait_for(server, lambda: _create_databases(address, "prefect", "mlflow"))
        return address

    def _launch(
        self, name: str, command: Sequence[str], *, user: int | None = None, **variables: str
    ) -> Service:
        log = self.folder / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                # Should this process be killed, the system ends the service.
                ["setpriv", "--pdeathsig", "INT", *command],
                user=user,
                cwd="/" if user else self.folder,
                env=self.environment | variables,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.services.append(Service(name, process, log))
        return self.services[-1]


def _wait_for(service: Service, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        assert service.process.poll() is None, f"{service.name} ended\n{service.tail()}"
        assert time.monotonic() < deadline, f"{service.name} does not answer\n{service.tail()}"
        time.sleep(0.1)


def _postgres_programs() -> Path:
    program = shutil.which("initdb")
    if program is not None:
        return Path(program).resolve().parent
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert packaged, "PostgreSQL is needed: install it (on Debian: apt-get install postgresql)"
    return packaged[-1].parent


def _unprivileged_account() -> int:
    try:
        return pwd.getpwnam("postgres").pw_uid
    except KeyError:
        return pwd.getpwnam("nobody").pw_uid


def _create_databases(address: str, *names: str) -> bool:
    try:
        connection = psycopg2.connect(f"postgresql://{address}/postgres")
    except psycopg2.OperationalError:
        return False  # it is still starting
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"create database {name}")
    return True


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _marked(value: str) -> list[int]:
    """Returns the processes that inherited the cluster's mark."""
    wanted, marked = f"{_MARK}={value}".encode(), []
    for pid in processes():
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                marked.append(pid)
    return marked
