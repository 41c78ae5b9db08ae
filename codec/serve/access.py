"""Who asks: API keys, a client's name for the queue, an id of each request, and a line in the log."""

from __future__ import annotations

import hmac
import logging
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codec.serve.errors import ApiError, body
from codec.serve.metrics import Metrics

MAX_BYTES = 32 * 2**20  # of a request's body
PROTECTED = "/v1/"  # paths that need a key
KEY_PROTOCOL = "openai-insecure-api-key."  # and a key, as OpenAI has it

log = logging.getLogger(__name__)


def read_keys(path: Path | None) -> tuple[str, ...]:
    """API keys of a file, one a line; none without a file.

    Raises:
        ValueError: there is no key in it. OSError: it cannot be read.
    """
    if path is None:
        return ()
    keys = tuple(path.read_text().split())
    if not keys:
        raise ValueError(f"key file {path}: no key in it; write one a line, or give no file")
    return keys


class Access:
    """ASGI middleware around the routes.

    Args:
        app: them.
        keys: of which each request must bring one as `Authorization: Bearer KEY`, if there are any.
        metrics: count the requests.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[str], metrics: Metrics) -> None:
        self.app, self.metrics, self.keys = app, metrics, [key.encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        start, status, n_read, request_id = time.monotonic(), 500, 0, uuid.uuid4().hex
        key = _take_key(scope)
        address = scope["client"][0] if scope["client"] else ""
        scope.setdefault("state", {})["client"] = key.decode() if self.keys else address

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
                status = message.get("status", 101)
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        async def bounded() -> Message:
            nonlocal n_read
            message = await receive()
            n_read += len(message.get("body", b""))
            if n_read > MAX_BYTES:  # though nobody said how many there are
                raise ApiError(f"body: more than {MAX_BYTES} bytes; send less", 413)
            return message

        try:
            refusal = self._refusal(scope, key)
            answer: ASGIApp = self.app if refusal is None else JSONResponse(body(refusal), refusal.status)
            await answer(scope, bounded, note)
        finally:
            route = getattr(scope.get("route"), "path", "")  # whatever is asked for, there are few of them
            self.metrics.requests.labels(route, status).inc()
            method = scope.get("method", "WEBSOCKET")
            fields = {"request_id": request_id, "method": method, "path": scope["path"], "status": status}
            log.info("request", extra={"fields": fields | {"seconds": round(time.monotonic() - start, 3)}})

    def _refusal(self, scope: Scope, key: bytes) -> ApiError | None:
        headers = Headers(scope=scope)
        if scope["path"].startswith(PROTECTED) and not self._is_known(key):
            return ApiError("API key: missing or unknown; send it as Authorization: Bearer KEY", 401)
        if scope["type"] == "websocket" and "origin" in headers and not _is_same_site(headers):
            return ApiError(f"origin {headers['origin']}: pages of other sites may not connect", 403)
        if int(headers.get("content-length", "0")) > MAX_BYTES:
            return ApiError(f"body: more than {MAX_BYTES} bytes; send less", 413)
        return None

    def _is_known(self, key: bytes) -> bool:
        """In constant time, whichever key it is."""
        matches = [hmac.compare_digest(key, known) for known in self.keys]
        return not self.keys or any(matches)


def _take_key(scope: Scope) -> bytes:
    """The API key of a request; browsers cannot set headers of WebSockets, and send it as one of the subprotocols."""
    names = scope.get("subprotocols", [])
    keys = [name.removeprefix(KEY_PROTOCOL) for name in names if name.startswith(KEY_PROTOCOL)]
    if keys:
        scope["subprotocols"] = [name for name in names if not name.startswith(KEY_PROTOCOL)]
    header = Headers(scope=scope).get("authorization", "").removeprefix("Bearer ")
    return str(keys[0] if keys else header).encode()


def _is_same_site(headers: Headers) -> bool:
    return urlsplit(headers["origin"]).netloc == headers.get("host", "")
