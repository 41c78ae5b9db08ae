"""The application: routes over one engine, the page at `/`, and whether it is well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST

from codec.serve import codec_socket, codes, errors, recognition, speech, speech_socket, voices
from codec.serve.access import Access
from codec.serve.connection import Sessions
from codec.serve.engine import Engine
from codec.serve.metrics import Metrics
from codec.serve.recognition import Recognizer
from codec.serve.voices import VoiceStore
from codec.serve.watermark import Encoders, Watermark

PAGE = Path(__file__).parent / "page"
PAGE_HEADERS = {  # the page loads nothing from elsewhere; only an agent's chat endpoint is where the user says
    "Content-Security-Policy": "default-src 'self'; connect-src *; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def make_app(
    engine: Engine,
    store: VoiceStore,
    model_name: str,
    keys: tuple[str, ...] = (),
    watermark: Watermark | None = None,
    recognizers: Mapping[str, Recognizer] | None = None,
) -> FastAPI:
    """The server as an ASGI application; the engine is closed with it.

    Args:
        engine: what speaks.
        store: the voices.
        model_name: of the voice model, as clients call it.
        keys: of which each request under /v1 must bring one, if there are any.
        watermark: put into all sound, if there is one.
        recognizers: by the names that clients call them.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        engine.close()

    app = FastAPI(title="codec37", lifespan=lifespan, responses=errors.RESPONSES)
    app.state.engine, app.state.voices, app.state.model_name = engine, store, model_name
    app.state.encoders = Encoders(engine.tts.sample_rate, watermark)
    app.state.sessions = Sessions(engine.limits.max_sessions)
    app.state.metrics = metrics = Metrics(engine, app.state.sessions)
    app.state.recognizers = dict(recognizers or {})
    app.state.codec_turn = asyncio.Lock()  # recordings are encoded and decoded one by one, beside the engine
    app.state.recognizer_turn = asyncio.Lock()
    errors.install(app)
    app.add_middleware(Access, keys=keys, metrics=metrics)
    for part in (speech, speech_socket, voices, recognition, codes, codec_socket):
        app.include_router(part.router)
    app.mount("/page", StaticFiles(directory=PAGE))

    @app.get("/", include_in_schema=False)
    def show_page() -> FileResponse:
        """HTML, styles and JavaScript modules in the folder `page`, as they are."""
        return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)

    @app.get("/healthz")
    def health(response: Response) -> dict[str, str]:
        """Whether the process answers and its engine works; 503 once it must be started again."""
        response.status_code = 503 if engine.has_failed else 200
        return {"status": "failed" if engine.has_failed else "ok"}

    @app.get("/readyz")
    def ready(response: Response) -> dict[str, str]:
        """Whether speech is taken; 503 once it no longer is."""
        response.status_code = 200 if engine.is_open else 503
        return {"status": "ready" if engine.is_open else "closing"}

    @app.get("/metrics", response_class=PlainTextResponse)
    def show_metrics() -> Response:
        """Counts for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return app
