"""Connections of WebSockets, and what remains of them."""

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from fastapi import WebSocketDisconnect

from codec.serve.connection import Sessions, connect


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(WebSocketDisconnect(1006), nullcontext()), (RuntimeError("broken"), pytest.raises(RuntimeError, match="broken"))],
)
def test_sessions_are_counted_and_who_vanishes_is_no_error(error, outcome):
    sessions = Sessions(1)
    socket = SimpleNamespace(
        app=SimpleNamespace(state=SimpleNamespace(sessions=sessions)),
        scope={"subprotocols": []},
        accept=lambda subprotocol: asyncio.sleep(0),
    )

    async def serve():
        async with connect(socket):
            assert sessions.n == 1
            raise error

    with outcome:
        asyncio.run(serve())
    assert sessions.n == 0
