"""Prefect's settings for this project, made before Prefect is imported.

Without a server of the user's (`PREFECT_API_URL`), Prefect starts one of its own for the time of
the run. Its database is kept in the user's cache, not in the workspace: on a disk that is full
Prefect would wait for ever, and the error would never be told.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transforms.contract.errors import BraidError
from transforms.contract.process.user_folder import user_folder
from transforms.contract.servers import problem_of
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock, waiting_lock

_READY = ".ready"
_SETTINGS = {
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    # Migrations of a fresh database took longer than the default 20 s on a busy machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLI_WIKI_NOTIFICATIONS": "false",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
# For a person at a terminal our own progress and our one error message are enough.
_QUIET = {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
}


def configure(*, quiet: bool = True) -> None:
    """Sets what the environment does not set already. Call it before importing Prefect."""
    settings = dict(_SETTINGS)
    if quiet and not os.environ.get("BRAID_DEBUG"):
        settings |= _QUIET
    if not os.environ.get("PREFECT_API_URL"):
        settings["PREFECT_HOME"] = str(user_folder("prefect"))
        # Its reader would be the temporary server, which is gone when the run is.
        settings["PREFECT_LOGGING_TO_API_ENABLED"] = "false"
    for name, value in settings.items():
        os.environ.setdefault(name, value)


@contextmanager
def temporary_server(workspace: Workspace, pipeline: str) -> Iterator[None]:
    """Starts Prefect's own server for the block, or nothing if the user has one.

    The server ends with this process, however that ends.

    Raises:
        BraidError: Another run of the pipeline is going on, or the user's server does not answer.
    """
    if os.environ.get("PREFECT_API_URL"):
        ask_server()
        yield
        return
    with exclusive_lock(workspace.lock("server", pipeline), holder=f"pipeline '{pipeline}'"):
        yield from _serve()


def ask_server() -> None:
    """Asks the user's Prefect server whether it is there, before Prefect waits for it.

    Raises:
        BraidError: It does not answer.
    """
    address = os.environ["PREFECT_API_URL"]
    # Whoever asks Prefect's cloud without a key may be told that there is nothing.
    problem = problem_of(address, "" if os.environ.get("PREFECT_API_KEY") else "/health")
    if problem is not None:
        raise BraidError(
            f"PREFECT_API_URL, {address}",
            expected="a Prefect server that answers",
            received=problem,
            action="Start the server, or correct the address, which ends in /api. Without "
            "PREFECT_API_URL a run has a server of its own.",
        )


def _serve() -> Iterator[None]:
    from flows.orchestration.own_server import OwnServer

    home = Path(os.environ["PREFECT_HOME"])
    server = OwnServer()
    try:
        with contextlib.ExitStack() as stack:
            if not (home / _READY).exists():
                # Two processes that migrate a fresh database at the same time break it.
                lock = home / "first-use.lock"
                stack.enter_context(waiting_lock(lock, holder=str(home)))
            server.start()
            home.mkdir(parents=True, exist_ok=True)
            (home / _READY).touch()
        yield
    finally:
        server.stop()
