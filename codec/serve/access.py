"""Who asks: API keys, a client's name for the queue, an id of each request, and a line in the log."""

from __future__ import annotations

import hmac
import logging
import time
import uuid
from collections.abc import Sequence

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codec.serve.errors import ApiError, body
from codec.serve.metrics import Metrics

MAX_BYTES = 32 * 2**20  # of a request's body
PROTECTED = "/v1/"  # paths that need a key

log = logging.getLogger(__name__)


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
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, n_read, request_id = time.monotonic(), 500, 0, uuid.uuid4().hex
        key = Headers(scope=scope).get("authorization", "").removeprefix("Bearer ").encode()
        address = scope["client"][0] if scope["client"] else ""
        scope.setdefault("state", {})["client"] = key.decode() if self.keys else address

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
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
            if scope["path"].startswith(PROTECTED) and not self._is_known(key):
                refusal = ApiError("API key: missing or unknown; send it as Authorization: Bearer KEY", 401)
                await JSONResponse(body(refusal), refusal.status)(scope, receive, note)
            elif int(Headers(scope=scope).get("content-length", "0")) > MAX_BYTES:
                refusal = ApiError(f"body: more than {MAX_BYTES} bytes; send less", 413)
                await JSONResponse(body(refusal), refusal.status)(scope, receive, note)
            else:
                await self.app(scope, bounded, note)
        finally:
            route = getattr(scope.get("route"), "path", "")  # whatever is asked for, there are few of them
            self.metrics.requests.labels(route, status).inc()
            fields = {"request_id": request_id, "method": scope["method"], "path": scope["path"], "status": status}
            log.info("request", extra={"fields": fields | {"seconds": round(time.monotonic() - start, 3)}})

    def _is_known(self, key: bytes) -> bool:
        """In constant time, whichever key it is."""
        matches = [hmac.compare_digest(key, known) for known in self.keys]
        return not self.keys or any(matches)
