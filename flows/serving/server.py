"""The server's process: its socket, TensorFlow without its notes, and an end in order."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
import uvloop

from flows.prediction.predict import libraries_kept_quiet
from flows.serving.app import Service, make_app
from flows.serving.batcher import Batcher
from flows.serving.counters import Counters
from flows.serving.follower import ChosenVersion, Follower
from flows.serving.limits import Limits
from flows.serving.protocols.bodies import BodyReader
from flows.serving.request_log import KeptRows, RequestLog
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.process.startup import quick_start
from transforms.contract.workspace.layout import Workspace


def serve(
    pipeline: PipelineSpec,
    workspace: Workspace,
    *,
    host: str,
    port: int,
    chosen: ChosenVersion,
    limits: Limits,
    log: KeptRows | None,
    on_ready: Callable[[str, str], None],
) -> None:
    """Serves a registered model until a signal ends it.

    Args:
        pipeline: The declaration, which says which registry and model are meant.
        workspace: The folder of the registry.
        host: The address to listen at.
        port: Its port; 0 takes one that is free.
        chosen: Which version.
        limits: What is taken of requests.
        log: Where rows and answers are kept; None keeps none.
        on_ready: Is told the model and the address when requests are answered.

    Raises:
        BraidError: There is no such version, it does not answer, or the port is taken.
    """
    with listening(host, port) as listener:
        counters = Counters()
        with _quiet_libraries():
            follower = Follower(
                pipeline, workspace, chosen, most_rows=limits.rows, counters=counters
            )
        served = follower.served
        address = f"http://{_in_url(host)}:{listener.getsockname()[1]}"
        ready = partial(on_ready, f"{served.name} version {served.version}", address)
        kept = None if log is None else RequestLog(log, counters)
        try:
            uvloop.run(_answer(listener, follower, limits, counters, kept, ready))
        finally:
            if kept is not None:
                kept.close()


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Imports what scores, and keeps its libraries' notes from the terminal."""
    # One refused value is a note of TensorFlow's, and the answer has what it says.
    if not os.environ.get("BRAID_DEBUG"):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with libraries_kept_quiet():
        with quick_start():
            import trainer.export.serving  # noqa: F401 - in here, as it takes seconds
        yield


async def _answer(
    listener: socket.socket,
    follower: Follower,
    limits: Limits,
    counters: Counters,
    log: RequestLog | None,
    on_ready: Callable[[], None],
) -> None:
    """Answers requests until a signal ends it."""
    batcher = Batcher(limits, counters)
    app = make_app(Service(limits, counters, follower, batcher, BodyReader(limits), log))
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False))
    server.on_ready = on_ready
    follower.start()
    try:
        await server.serve(sockets=[listener])
    finally:  # every request that was taken has its answer
        batcher.close()
        follower.close()


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it listens."""

    on_ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen."""
        await super().startup(sockets)
        if self.started:
            self.on_ready()


def listening(host: str, port: int) -> socket.socket:
    """Returns a socket that is bound but does not listen yet.

    Raises:
        BraidError: The address is not this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise BraidError(
            f"--host {host} --port {port}",
            expected="an address of this machine and a port that is free",
            received=error.strerror or str(error),
            action="Give another --port, or end what listens there.",
        ) from None
    return listener


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
