"""The page at `/`: HTML, styles and JavaScript modules in the folder `page`, as they are."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

PAGE = Path(__file__).parent / "page"
HEADERS = {  # the page loads nothing from elsewhere; only an agent's chat endpoint is where the user says
    "Content-Security-Policy": "default-src 'self'; connect-src *; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def install(app: FastAPI) -> None:
    """Serve it."""
    app.mount("/page", StaticFiles(directory=PAGE))

    @app.get("/", include_in_schema=False)
    def show_page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers=HEADERS)
