"""Prefect's own server, as long as a process of ours lives.

Import this after `flows.engine.configure`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import get_current_settings

# What Prefect itself tells a server that it starts for a while.
_SETTINGS = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}


class OwnServer(SubprocessASGIServer):
    """The server that Prefect would start for its clients, which find this one in its place.

    Prefect's own command would leave it running when this process is killed, and would let Ctrl-C
    at a terminal reach it. It has to outlive that, for Prefect to record that a flow was
    interrupted.
    """

    def _run_uvicorn_command(self) -> subprocess.Popen[Any]:
        server = ["uvicorn", "--factory", "prefect.server.api.server:create_app"]
        options = ["--host", "127.0.0.1", "--port", str(self.port)]
        options += ["--log-level", "error", "--lifespan", "on"]
        settings = get_current_settings().to_environment_variables(exclude_unset=True)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "transforms.contract.lifeline", *server, *options],
            stdin=subprocess.PIPE,  # held open: the server ends when this process is gone
            process_group=0,
            env={**os.environ, **_SETTINGS, **settings},
        )
