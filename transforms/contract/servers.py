"""A check that a server answers, within seconds and before hours of work rely on it."""

from __future__ import annotations

import contextlib
import http.client
import queue
import socket
import ssl
import threading
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

ANSWER_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
# What makes a database say something. PostgreSQL answers the question for TLS with one byte
# (its manual, "Message Formats", SSLRequest); MySQL greets by itself.
_QUESTIONS = {"postgresql": b"\x00\x00\x00\x08\x04\xd2\x16\x2f", "mysql": b""}


def problem_of(uri: str, path: str = "", *, seconds: float = ANSWER_SECONDS) -> str | None:
    """Returns why a server cannot be relied on, in words, or None if it answers.

    Nobody is logged in and no certificate is checked: that is left to the server's own client.

    Args:
        uri: Its address: http, https or a database's. Any other scheme is not asked.
        path: What an HTTP server has below the address.
        seconds: How long it may take in all, the look-up of its name included.
    """
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_asked(urlsplit(uri), path, seconds))
        except TimeoutError:
            answers.put(_silence(seconds))
        except (OSError, ValueError, http.client.HTTPException) as error:
            answers.put(getattr(error, "strerror", None) or str(error) or type(error).__name__)

    # In a thread, as neither a look-up nor an answer that drips has a limit of its own.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return _silence(seconds)


def _silence(seconds: float) -> str:
    return f"no answer within {seconds:g} seconds"


def _asked(address: SplitResult, path: str, seconds: float) -> str | None:
    kind = address.scheme.partition("+")[0]  # mysql+pymysql
    if kind not in _PORTS or not address.hostname:
        return None
    port = address.port or _PORTS[kind]
    if kind in ("http", "https"):
        return _http_problem(address, port, path, seconds)
    with socket.create_connection((address.hostname, port), seconds) as connection:
        question = _QUESTIONS.get(kind)
        if question is not None:
            connection.sendall(question)
            if not connection.recv(1):
                return "a connection that is closed at once"
    return None


def _http_problem(address: SplitResult, port: int, path: str, seconds: float) -> str | None:
    host = str(address.hostname)
    if address.scheme in getproxies() and not proxy_bypass(host):
        return None  # only the proxy could be asked
    connection: http.client.HTTPConnection
    if address.scheme == "https":
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=seconds, context=unchecked)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
    with contextlib.closing(connection):
        connection.request("GET", address.path.rstrip("/") + path or "/")
        status = connection.getresponse().status
    # 401 and the like are the answers of a server that wants to know who asks.
    if status >= 500 or (status == 404 and path):
        return f"the status {status} for {path or '/'}"
    return None
