"""Beam's own job server, as a process of its own: no Java, nothing to download, loopback only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.command import until

ROOT = Path(__file__).parents[2]
# Beam's name for a worker that is a process of the command in `environment_config`.
SUBPROCESS = "beam:env:harness_subprocess_python:v1"
WORKER = f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main"


@dataclass(frozen=True)
class JobServer:
    """A job server that runs.

    Attributes:
        endpoint: Its address.
        process: Its process.
    """

    endpoint: str
    process: subprocess.Popen[bytes]

    def options(self, command: str = WORKER, **others: object) -> dict[str, object]:
        """Returns Beam's options for jobs of it, whose workers are processes of a command."""
        environment = {"environment_type": SUBPROCESS, "environment_config": command}
        return {"job_endpoint": self.endpoint, **environment, **others}

    def kill(self) -> None:
        """Kills it with what it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def job_server(folder: Path) -> Iterator[JobServer]:
    """Yields a job server, which ends with the block."""
    port_file, log = folder / "port", folder / "job_server.log"
    module = "apache_beam.runners.portability.local_job_service_main"
    arguments = ["--port_file", str(port_file), "--staging_dir", str(folder / "staging")]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
            start_new_session=True,  # its workers are of its group, and end with it
        )
    try:
        until(
            lambda: port_file.exists() and port_file.read_text().strip(),
            seconds=120,
            told=log.read_text,
        )
        yield JobServer(f"localhost:{port_file.read_text().strip()}", process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
