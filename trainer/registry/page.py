"""MLflow's page of a registry: its runs, curves and versions in a browser."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from subprocess import Popen
from tempfile import TemporaryDirectory

from trainer.registry.registry import ModelRegistry
from transforms.contract.errors import BraidError

_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
_MOST_SECONDS, _STEP_SECONDS = 120.0, 0.2  # a busy machine takes a while to import all of MLflow


@dataclass(frozen=True)
class PagePlace:
    """The address of the page.

    Attributes:
        host: The address that it listens at.
        port: Its port.
    """

    host: str
    port: int

    @property
    def address(self) -> str:
        """The URL that a browser opens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@contextmanager
def serving_page(registry: ModelRegistry, place: PagePlace) -> Iterator[Popen[bytes]]:
    """Runs MLflow's page on a registry that is a database until the block ends.

    Args:
        registry: What it shows.
        place: Where it listens.

    Yields:
        Its process, once it answers.

    Raises:
        BraidError: The page is not installed, the registry cannot be reached, or another program
            listens there.
    """
    _refuse_without_page()
    registry.models()  # the tables are there then, and those of an older MLflow are brought up
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1"]
    command += ["--host", place.host, "--port", str(place.port)]
    # As a variable and no argument: an address may have a password.
    kept = {
        "MLFLOW_BACKEND_STORE_URI": registry.uri,
        "MLFLOW_ARTIFACTS_DESTINATION": registry.artifacts.as_uri(),
    }
    _refuse_taken(place)
    with TemporaryDirectory() as folder:  # MLflow writes where it stands
        # A process group of its own: Ctrl-C is for this process, which then ends that one.
        process = Popen(command, cwd=folder, env=os.environ | _QUIET | kept, process_group=0)
        try:
            _wait(process, place)
            yield process
        finally:
            with suppress(ProcessLookupError):  # what it started itself may outlive it
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _refuse_without_page() -> None:
    try:
        version("mlflow")
    except PackageNotFoundError:
        raise BraidError(
            "braid ui",
            expected="MLflow with its page",
            received="mlflow-skinny alone, which keeps and reads runs",
            action="Install the extra that has it: pip install 'braid-pipelines[server]'.",
        ) from None


def _refuse_taken(place: PagePlace) -> None:
    if _answers(place):
        raise BraidError(
            f"port {place.port}",
            expected="a port that is free",
            received=f"something that answers at {place.address}",
            action="End that, or give another one with --port.",
        )


def _wait(process: Popen[bytes], place: PagePlace) -> None:
    """Waits until the page answers or its process has ended, which its own output explains."""
    deadline = time.monotonic() + _MOST_SECONDS
    while process.poll() is None and not _answers(place):
        if time.monotonic() > deadline:
            raise BraidError(
                place.address,
                expected=f"MLflow's page within {_MOST_SECONDS:.0f} s",
                received="no answer",
                action="Look at what it printed above.",
            )
        time.sleep(_STEP_SECONDS)


def _answers(place: PagePlace) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place.host, place.host)
    with suppress(OSError), socket.create_connection((host, place.port), timeout=1):
        return True
    return False
