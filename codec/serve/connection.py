"""WebSocket connections: JSON and binary frames, a limit of sessions, and an end to those where nothing moves."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from pydantic import BaseModel, TypeAdapter, ValidationError

from codec.serve.errors import ApiError, as_api_error, body, first_of
from codec.serve.handle import BusyError

RETRY_SECONDS = 5  # for those who find no free session
TELL_SECONDS = 1.0  # for a last message to one who reads nothing

T = TypeVar("T")


class InputDone(BaseModel):
    """The input is complete; what follows is another."""

    type: Literal["input.done"]


class SessionClose(BaseModel):
    """Close the connection once all is done."""

    type: Literal["session.close"]


@dataclass
class Sessions:
    """Counts the connections of a server.

    Args:
        most: of them at a time.
        idle_seconds: after which one is closed if nothing was sent or received.
    """

    most: int
    idle_seconds: float = 60.0
    n: int = 0


class Connection:
    """An accepted WebSocket.

    Args:
        socket: it.
        idle_seconds: see `Sessions`.
    """

    def __init__(self, socket: WebSocket, idle_seconds: float) -> None:
        self._socket, self._idle_seconds, self._moved = socket, idle_seconds, time.monotonic()

    async def receive(self) -> str | bytes | None:
        """The next frame; None once the client has left, or nothing has moved for too long."""
        while (left := self._moved + self._idle_seconds - time.monotonic()) > 0:
            try:
                message = await asyncio.wait_for(self._socket.receive(), left)
            except TimeoutError:
                continue
            self._moved = time.monotonic()
            if message["type"] == "websocket.disconnect":
                return None
            text: str | None = message.get("text")
            return message["bytes"] if text is None else text
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TELL_SECONDS):
                await self.fail(ApiError(f"nothing was sent or received for {self._idle_seconds:g} s", 408))
        await self.close(1001)
        return None

    async def tell(self, kind: str, **fields: Any) -> None:
        """Send a message of a type."""
        await self._socket.send_json({"type": kind, **fields})
        self._moved = time.monotonic()

    async def send(self, content: bytes) -> None:
        """Send a binary frame; waits while the client does not read."""
        await self._socket.send_bytes(content)
        self._moved = time.monotonic()

    async def fail(self, error: Exception, **fields: Any) -> None:
        """Send an error; the connection stays."""
        shown = as_api_error(error)
        about = body(shown)["error"]
        await self.tell("error", message=about["message"], status=shown.status, param=about["param"], **fields)

    async def close(self, code: int = 1000) -> None:
        """End it; does nothing where the client has left."""
        with contextlib.suppress(RuntimeError):
            await self._socket.close(code)


@asynccontextmanager
async def connect(socket: WebSocket) -> AsyncIterator[Connection | None]:
    """Accept a WebSocket, or refuse it as HTTP does: then there is no connection. A client may leave at any time."""
    sessions: Sessions = socket.app.state.sessions
    if sessions.n >= sessions.most:
        error = as_api_error(BusyError(f"{sessions.n} sessions are open", RETRY_SECONDS))
        await socket.send_denial_response(JSONResponse(body(error), error.status, error.headers))
        yield None
        return
    sessions.n += 1
    try:
        await socket.accept(next(iter(socket.scope["subprotocols"]), None))
        with contextlib.suppress(WebSocketDisconnect):
            yield Connection(socket, sessions.idle_seconds)
    finally:
        sessions.n -= 1


def parse(kinds: TypeAdapter[T], message: str | bytes) -> T:
    """A JSON message as one of a union of types.

    Raises:
        ApiError: it is none of them; the message says why.
    """
    try:
        return kinds.validate_json(message)
    except ValidationError as error:
        raise first_of(error.errors(include_url=False, include_input=False), "message") from error
