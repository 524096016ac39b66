"""Bodies of requests: read within limits of length, of memory for all of them, and parsed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import orjson
from starlette.requests import ClientDisconnect, Request

from flows.serving.limits import Limits, RequestError

Made = TypeVar("Made")

_QUICK_BYTES = 1 << 16  # what is parsed in a millisecond, so that no other request waits for it
_DRAINED_BODIES = 4  # of a body that is too long, read and thrown away so that the sender hears why


class BodyReader:
    """Reads bodies; keeps count of what is held of all of them.

    Args:
        limits: What is taken.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0
        self._parsing = asyncio.Lock()

    async def parse(self, body: bytes, make: Callable[[Any], Made]) -> Made:
        """Returns what a function makes of a body's JSON.

        Long ones go through a thread, one by one: empty lists take thirty times their text.
        """
        if len(body) <= _QUICK_BYTES:
            return make(_parsed(body))
        async with self._parsing:
            return await asyncio.to_thread(lambda: make(_parsed(body)))

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Holds a request's body while the block runs.

        Raises:
            RequestError: It is too long, or there is no room beside the others', or it ends early.
        """
        chunks: list[bytes] = []
        held = sent = 0
        refusal: RequestError | None = None
        try:
            async for chunk in request.stream():
                sent += len(chunk)
                if refusal is None:
                    held += len(chunk)
                    self._held += len(chunk)
                    chunks.append(chunk)
                    refusal = self._refusal(sent)
                if refusal is not None:
                    chunks.clear()
                    self._held, held = self._held - held, 0
                    if sent > _DRAINED_BODIES * self._limits.body_bytes:
                        break
            if refusal is not None:
                raise refusal
            yield b"".join(chunks)
        except ClientDisconnect:
            raise RequestError(400, "the body ends early") from None
        finally:
            self._held -= held

    def _refusal(self, size: int) -> RequestError | None:
        if size > self._limits.body_bytes:
            return RequestError(413, f"a body of at most {self._limits.body_bytes} bytes is taken")
        if self._held > self._limits.held_bytes:
            return RequestError(429, "too many bodies are under way; try again in a second")
        return None


def _parsed(body: bytes) -> Any:
    """Returns a JSON body.

    Raises:
        RequestError: It is none.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"a body of JSON is expected: {error}") from None
