"""Servers that do not do their work, on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Gives the host and port of a server that does this with every connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=_serve, args=(serve, connection), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def _serve(serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        serve(connection)


def hang(connection: socket.socket) -> None:
    """Takes what comes and never answers."""
    while connection.recv(1024):
        pass


def drip(connection: socket.socket) -> None:
    """Answers a byte every now and then, and never to the end."""
    connection.recv(1024)
    wait = threading.Event()
    while not wait.wait(0.1):
        connection.sendall(b"H")


def answer(status: int) -> Callable[[socket.socket], None]:
    """Answers everything with a status."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())

    return serve


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """Gives a port that refuses."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"
