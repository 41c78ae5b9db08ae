"""Errors as OpenAI's clients read them: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from codec.serve.handle import BusyError, DeadlineError

_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None  # the field that is wrong, if one is
    code: str | None


class ErrorBody(BaseModel):
    """The body of a response that tells of an error."""

    error: ErrorDetail


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "The request is refused"},
    "5XX": {"model": ErrorBody, "description": "The server failed, is closing, or was too slow"},
}  # of every route, for its documentation


class ApiError(Exception):
    """A request that is refused.

    Args:
        message: what is wrong, and what to do.
        status: of HTTP.
        param: the field that is wrong, if one is.
        headers: of the response.
    """

    def __init__(
        self, message: str, status: int = 400, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.headers = status, param, headers


def as_api_error(error: Exception) -> ApiError:
    """Convert an error of this library to the one that a client receives."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, BusyError):
        return ApiError(str(error), 503 if error.is_closing else 429, headers={"Retry-After": str(error.retry_after)})
    if isinstance(error, DeadlineError):
        return ApiError(str(error), 504)
    if isinstance(error, HTTPException):
        return ApiError(str(error.detail), error.status_code)
    if isinstance(error, RequestValidationError):
        return first_of(error.errors(), "body")
    return ApiError(str(error)) if isinstance(error, ValueError) else ApiError("internal error; see the log", 500)


def first_of(errors: Sequence[Any], whole: str) -> ApiError:
    """The first of pydantic's errors; `whole` is named where no field of it is wrong."""
    param = ".".join(str(part) for part in errors[0]["loc"][1:]) or None
    return ApiError(f"{param or whole}: {errors[0]['msg']}", 400, param)


def body(error: ApiError) -> dict[str, Any]:
    """The body of the response."""
    kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    return {"error": {"message": str(error), "type": kind, "param": error.param, "code": None}}


def install(app: FastAPI) -> None:
    """Answer with such bodies, whatever is raised."""

    def respond(request: Request, error: Exception) -> JSONResponse:
        shown = as_api_error(error)
        return JSONResponse(body(shown), shown.status, shown.headers)

    for kind in (RequestValidationError, HTTPException, ApiError, BusyError, DeadlineError, ValueError, Exception):
        app.add_exception_handler(kind, respond)
