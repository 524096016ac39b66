"""An S3 of objects that are there already, which answers reads at once and counts them.

What a server such as moto takes for a request says nothing about who asks: this one takes some
50 µs of a core.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_PAGE = 1_000  # of a listing, as S3 has it
_TIME, _HTTP_TIME = "2026-01-01T00:00:00.000Z", "Thu, 01 Jan 2026 00:00:00 GMT"
_ETAG = '"00000000000000000000000000000000"'


class Objects:
    """Objects by their keys, in one bucket.

    Attributes:
        requests: How often each kind was asked for: LIST, HEAD, GET; "other" is refused.
    """

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.requests: Counter[str] = Counter()
        self._objects = objects
        self._keys = sorted(objects)

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        """Returns the whole answer to a request."""
        url = urlsplit(target)
        _, _, key = unquote(url.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(url.query, True).items()}
        if method == "GET" and not key and "list-type" in query:
            self.requests["LIST"] += 1
            return _response(200, self._listing(query))
        if method not in ("GET", "HEAD"):
            self.requests["other"] += 1
            return _response(405)
        self.requests[method] += 1
        if key not in self._objects:
            return _response(404)
        content = self._objects[key]
        if method == "HEAD":
            return _response(200, length=len(content))
        first, last = _range(headers.get("range", ""), len(content))
        return _response(206 if "range" in headers else 200, content[first : last + 1])

    def _listing(self, query: Mapping[str, str]) -> bytes:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after, most = query.get("continuation-token", ""), int(query.get("max-keys", _PAGE))
        entries: dict[str, str] = {}  # by the last key that each stands for
        for key in self._keys:
            if not key.startswith(prefix) or key <= after:
                continue
            name, cut, _ = key.removeprefix(prefix).partition(delimiter or "\0")
            if cut:
                folder = escape(prefix + name + cut)
                entries.pop(folder, None)
                entries[folder] = f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"
            else:
                entries[key] = _contents(key, len(self._objects[key]))
            if len(entries) > most:
                entries.popitem()
                break
            last = key
        else:
            last = ""
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if last else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>bucket</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(entries)}"
            f"</KeyCount><MaxKeys>{most}</MaxKeys><IsTruncated>{str(bool(last)).lower()}"
            f"</IsTruncated>{token}{''.join(entries.values())}</ListBucketResult>"
        ).encode()


def _contents(key: str, size: int) -> str:
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{_TIME}</LastModified>"
        f"<ETag>{escape(_ETAG)}</ETag><Size>{size}</Size></Contents>"
    )


def _range(text: str, size: int) -> tuple[int, int]:
    if not text:
        return 0, size - 1
    first, _, last = text.removeprefix("bytes=").partition("-")
    return int(first), min(int(last or size - 1), size - 1)


def _response(code: int, body: bytes = b"", length: int | None = None) -> bytes:
    head = (
        f"HTTP/1.1 {code} -\r\nContent-Length: {len(body) if length is None else length}\r\n"
        f"Content-Type: application/xml\r\nLast-Modified: {_HTTP_TIME}\r\nETag: {_ETAG}\r\n\r\n"
    )
    return head.encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, objects: Objects) -> None:
        self._objects, self._left = objects, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._left += data
        while b"\r\n\r\n" in self._left:
            head, _, self._left = self._left.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ")
            named = (line.partition(": ") for line in lines)
            headers = {name.lower(): value for name, _, value in named}
            self._transport.write(self._objects.answer(method, target, headers))


@contextmanager
def served(objects: Objects) -> Iterator[int]:
    """Serves objects on loopback, from a thread of this process; yields the port."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        loop.create_server(lambda: _Connection(objects), "127.0.0.1", 0)
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
