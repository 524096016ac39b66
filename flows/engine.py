"""Prefect's settings for this project, made before Prefect is imported.

Without a server of the user's (`PREFECT_API_URL`), Prefect starts one of its own for the time of
the run. Its database is kept in the user's cache, not in the workspace: on a disk that is full
Prefect would wait for ever, and the error would never be told.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transforms.contract.fingerprint import fingerprint
from transforms.contract.workspace import Workspace, exclusive_lock, waiting_lock, write_atomic

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
        settings["PREFECT_HOME"] = str(_default_home())
        # Its reader would be the temporary server, which is gone when the run is.
        settings["PREFECT_LOGGING_TO_API_ENABLED"] = "false"
    for name, value in settings.items():
        os.environ.setdefault(name, value)


@contextmanager
def temporary_server(workspace: Workspace, pipeline: str) -> Iterator[None]:
    """Starts Prefect's own server for the block, or nothing if the user has one.

    A flow that was killed leaves its server running; the next run of the same pipeline ends it.

    Raises:
        BraidError: Another run of the pipeline is going on.
    """
    if os.environ.get("PREFECT_API_URL"):
        yield
        return
    with exclusive_lock(workspace.lock("server", pipeline), holder=f"pipeline '{pipeline}'"):
        yield from _serve(workspace, pipeline)


def _serve(workspace: Workspace, pipeline: str) -> Iterator[None]:
    from prefect.client.orchestration import get_client
    from prefect.server.api.server import SubprocessASGIServer

    home = Path(os.environ["PREFECT_HOME"])
    remembered = home / f"server-{fingerprint([str(workspace.root.absolute()), pipeline])}.json"
    _end_orphan(remembered)
    with contextlib.ExitStack() as stack:
        if not (home / _READY).exists():
            # Two processes that migrate a fresh database at the same time break it.
            lock = home / "first-use.lock"
            stack.enter_context(waiting_lock(lock, holder=str(home)))
        with _interrupts_held_back(), get_client(sync_client=True) as client:
            client.api_healthcheck()
        home.mkdir(parents=True, exist_ok=True)
        (home / _READY).touch()
    process = SubprocessASGIServer().server_process
    if process is not None:
        identity = {"pid": process.pid, "started": _start_time(process.pid)}
        write_atomic(remembered, json.dumps(identity))
    try:
        yield
    finally:
        SubprocessASGIServer().stop()
        remembered.unlink(missing_ok=True)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Delays Ctrl-C until the block ends; a process that is started in it never gets it.

    A terminal sends Ctrl-C to the server too. It has to live on, for Prefect to record there that
    the flow was interrupted.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _default_home() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        home = cache / "braid" / "prefect"
        home.mkdir(parents=True, exist_ok=True)
    except OSError:  # an account without a home, as in many containers
        return Path(tempfile.gettempdir()) / f"braid-{os.getuid()}" / "prefect"
    return home


def _end_orphan(remembered: Path) -> None:
    try:
        identity = json.loads(remembered.read_bytes())
    except (FileNotFoundError, ValueError):
        return
    # Its number may belong to another process by now; number and start time together do not.
    started = _start_time(identity["pid"])
    if started is not None and started == identity["started"]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(identity["pid"], signal.SIGTERM)
    remembered.unlink(missing_ok=True)


def _start_time(pid: int) -> str | None:
    """Returns when a process started, in clock ticks since the machine did; None if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]
