from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from flows.serving.limits import Limits, RequestError
from flows.serving.protocols.bodies import BodyReader

LIMITS = Limits(body_bytes=10, held_bytes=15)


def _request(*chunks: bytes) -> Request:
    """A request whose body comes in these pieces."""
    messages = [
        {"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1}
        for place, chunk in enumerate(chunks)
    ]

    async def receive():
        return messages.pop(0)

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def _read(reader: BodyReader, *chunks: bytes) -> bytes:
    async with reader.read(_request(*chunks)) as body:
        return body


@pytest.mark.parametrize("chunks", [[b"x" * 11], [b"x" * 10, b"y"], [b"x" * 11, b"y"]])
def test_a_body_that_is_too_long_is_refused_wherever_that_shows(chunks):
    reader = BodyReader(LIMITS)
    with pytest.raises(RequestError, match="at most 10 bytes") as error:
        asyncio.run(_read(reader, *chunks))
    assert error.value.status == 413
    assert asyncio.run(_read(reader, b"12345", b"67890")) == b"1234567890"


def test_there_is_room_for_so_many_bodies_at_a_time():
    async def run(reader: BodyReader) -> int:
        async with reader.read(_request(b"x" * 10)):
            with pytest.raises(RequestError) as error:
                await _read(reader, b"y" * 10)
        assert await _read(reader, b"z" * 10) == b"z" * 10
        return error.value.status

    assert asyncio.run(run(BodyReader(LIMITS))) == 429


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"NaN", b'"\xff"'])
def test_what_is_no_json_is_refused(body):
    with pytest.raises(RequestError, match="a body of JSON"):
        asyncio.run(BodyReader(Limits()).parse(body, lambda document: document))
