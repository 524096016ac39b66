"""Prefect's own server, as long as a process of ours lives.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import threading
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import get_current_settings

from transforms.contract.errors import BraidError
from transforms.contract.process.own_packages import python_m

# What Prefect itself tells a server that it starts for a while.
_SETTINGS = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}
_LOOK_SECONDS = 0.1
_KEEP_SECONDS = 1.0
_ANSWER_SECONDS = 5.0
_PORT_IS_TAKEN = 3  # uvicorn's exit code


class OwnServer(SubprocessASGIServer):
    """The server that Prefect would start for its clients, which find this one in its place.

    Prefect's own command would leave it running when this process is killed, and would let Ctrl-C
    at a terminal reach it. It has to outlive that, for Prefect to record that a flow was
    interrupted.
    """

    def start(self, timeout: int | None = None) -> None:
        """Starts the server and waits until it answers.

        Prefect's own waiting goes on after the server has ended, as it does where it cannot write.

        Args:
            timeout: The seconds that it may take; by default those of Prefect's settings.

        Raises:
            BraidError: It ended or did not answer in time.
        """
        if self.running:
            return
        seconds = timeout or get_current_settings().server.ephemeral.startup_timeout_seconds
        deadline = time.monotonic() + seconds
        self.running = True
        atexit.register(self.stop)
        code: int | None = _PORT_IS_TAKEN
        while code is not None or not _is_up(self.port):
            if code == _PORT_IS_TAKEN:  # by another server that started at the same moment
                self.port = self.find_available_port()
                self.server_process = self._run_uvicorn_command()
            elif code is not None:
                raise _not_started(f"one that ended with code {code}")
            elif time.monotonic() > deadline:
                raise _not_started(f"no answer within {seconds} seconds")
            time.sleep(_LOOK_SECONDS)
            code = self.server_process.poll() if self.server_process else None
        threading.Thread(target=self._keep_up, daemon=True).start()

    def find_available_port(self) -> int:
        """Returns a port that is free.

        Prefect draws one of a thousand: two servers that start at one moment may draw the same, and
        the first one that answers would be taken for both.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def stop(self) -> None:
        """Ends the server, for good."""
        self.running = False
        super().stop()

    def _keep_up(self) -> None:
        """Starts a server anew that was killed: its clients would wait for it for minutes."""
        while self.running:
            time.sleep(_KEEP_SECONDS)
            process = self.server_process
            if process is not None and process.poll() is not None and self.running:
                self.server_process = self._run_uvicorn_command()

    def _run_uvicorn_command(self) -> subprocess.Popen[Any]:
        server = ["uvicorn", "--factory", "prefect.server.api.server:create_app"]
        options = ["--host", "127.0.0.1", "--port", str(self.port)]
        options += ["--log-level", "error", "--lifespan", "on"]
        settings = get_current_settings().to_environment_variables(exclude_unset=True)
        return subprocess.Popen(
            python_m("transforms.contract.process.lifeline", *server, *options),
            stdin=subprocess.PIPE,  # held open: the server ends when this process is gone
            process_group=0,
            env={**os.environ, **_SETTINGS, **settings},
        )


def _is_up(port: int | None) -> bool:
    # Not by a proxy, which the environment may name for all of HTTP.
    connection = HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    with contextlib.closing(connection), contextlib.suppress(OSError, HTTPException):
        connection.request("GET", "/api/health")
        return connection.getresponse().status == HTTPStatus.OK
    return False


def _not_started(received: str) -> BraidError:
    return BraidError(
        f"Prefect's own server, in {get_current_settings().home}",
        expected="a server that starts",
        received=received,
        action="Free some space there, give this user access to it, or name another folder by "
        "PREFECT_HOME; remove the folder if its database is damaged. On a busy machine, run again. "
        "With PREFECT_API_URL a server of yours is used instead.",
    )
