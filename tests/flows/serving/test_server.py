from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from flows.serving.server import listening
from transforms.contract.errors import BraidError


def test_an_answer_in_two_pieces_is_sent_at_once():
    async def run() -> int:
        sent_at_once: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def accept(_, writer):
            accepted = writer.get_extra_info("socket")
            sent_at_once.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listening("127.0.0.1", 0) as listener:
            async with await asyncio.start_server(accept, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                result = await sent_at_once
                writer.close()
        return result

    assert uvloop.run(run())  # asyncio's own loop would wait 40 ms for more


def test_a_port_that_is_taken_is_said_in_words():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BraidError, match=f"--port {port}: expected .* a port that is free"):
            listening("127.0.0.1", port)
