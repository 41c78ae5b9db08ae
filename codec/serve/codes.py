"""Recordings to tokens and back, as JSON or as `.c37` streams."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from fastapi import APIRouter, File, Form, Request, Response
from pydantic import BaseModel, Field, ValidationError

from codec import bitstream
from codec.files import STREAM_SUFFIX
from codec.serve.errors import ApiError
from codec.serve.formats import AUDIO, MEDIA_TYPES
from codec.serve.speech import Format
from codec.serve.upload import UploadLimits, read_upload
from codec.tokenizer import Tokenizer
from codec.tokens.tokens import Tokens

STREAM_TYPE = "application/octet-stream"
MAX_PROVENANCE_BYTES = 2000  # as JSON, to fit the comment of a file

Provenance = dict[str, Any]  # what `codec.tts.provenance_comment` writes; {} for recordings of others

router = APIRouter(prefix="/v1/codec")


class Codes(BaseModel):
    """Tokens of one recording."""

    codes: list[list[int]]  # [K, T]
    n_samples: Annotated[int, Field(ge=1, lt=2**40)] | None = None  # all of T frames unless given
    fingerprint: str = ""  # of the codec that made them; "" is not checked
    provenance: Provenance = {}


@router.get("")
def describe(request: Request) -> dict[str, Any]:
    """The codec that is served."""
    tokenizer = request.app.state.engine.tts.codec
    c = tokenizer.config
    return {
        "sample_rate": c.sample_rate,
        "hop_length": c.hop_length,
        "codebook_sizes": c.codebook_sizes,
        "fingerprint": tokenizer.fingerprint,
    }


@router.post("/encode", response_model=None, responses={200: {"content": {STREAM_TYPE: {}}}})
async def encode(
    request: Request,
    file: Annotated[bytes, File()],
    n_q: Annotated[int | None, Form()] = None,
    format: Annotated[Literal["json", "c37"], Form()] = "json",
) -> Response | dict[str, Any]:
    """A recording as tokens, all codebooks or the first `n_q`."""
    tokenizer = request.app.state.engine.tts.codec
    async with request.app.state.codec_turn:
        tokens, provenance = await asyncio.to_thread(_encode, tokenizer, file, n_q)
    if format == "c37":
        return Response(_to_stream(tokens, provenance, tokenizer), media_type=STREAM_TYPE)
    return {
        "codes": tokens.codes[0].tolist(),
        "n_samples": int(tokens.n_samples[0]),
        "sample_rate": tokens.sample_rate,
        "hop_length": tokens.hop_length,
        "fingerprint": tokens.fingerprint,
        "provenance": provenance,
    }


@router.post("/decode", response_class=Response, responses={200: AUDIO})
async def decode(request: Request, response_format: Format = "wav") -> Response:
    """Tokens as a recording: JSON as of `encode`, or a `.c37` stream as application/octet-stream."""
    tokenizer = request.app.state.engine.tts.codec
    content = await request.body()
    is_stream = request.headers.get("content-type", "").startswith(STREAM_TYPE)
    async with request.app.state.codec_turn:
        waveform, provenance = await asyncio.to_thread(_decode, tokenizer, content, is_stream)
    comment = json.dumps(provenance, ensure_ascii=False) if provenance else ""
    encoder = request.app.state.encoders.make(response_format, comment)
    return Response(encoder.push(waveform) + encoder.close(), media_type=MEDIA_TYPES[response_format])


def _encode(tokenizer: Tokenizer, content: bytes, n_q: int | None) -> tuple[Tokens, Provenance]:
    rate = tokenizer.config.sample_rate
    samples, comment = read_upload(content, rate)
    tokens = tokenizer.encode(samples, rate)
    return tokens if n_q is None else tokens.prefix(n_q), _read_provenance(comment)


def _read_provenance(comment: str) -> Provenance:
    try:
        found = json.loads(comment)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and "notice" in found else {}


def _decode(tokenizer: Tokenizer, content: bytes, is_stream: bool) -> tuple[torch.Tensor, Provenance]:
    tokens, provenance = _of_stream(content, tokenizer) if is_stream else _of_json(content, tokenizer)
    most = UploadLimits.audio_seconds
    if float(tokens.durations[0]) > most:
        raise ApiError(f"tokens: {float(tokens.durations[0]):.0f} s; send at most {most:g} s")
    if len(json.dumps(provenance, ensure_ascii=False).encode()) > MAX_PROVENANCE_BYTES:
        raise ApiError(f"provenance: more than {MAX_PROVENANCE_BYTES} bytes; shorten it", param="provenance")
    return tokenizer.decode(tokens)[0].cpu(), provenance


def _of_json(content: bytes, tokenizer: Tokenizer) -> tuple[Tokens, Provenance]:
    try:
        given = Codes(**json.loads(content))
        codes = torch.tensor([given.codes])
    except (ValidationError, ValueError, TypeError, RuntimeError) as error:  # the last: of numbers beyond int64
        raise ApiError(f"body: expected JSON with codes [K, T] of integers, or a .c37 as {STREAM_TYPE}") from error
    c = tokenizer.config
    tokens = Tokens.from_codes(codes, c.sample_rate, c.hop_length)
    n_samples = tokens.n_samples if given.n_samples is None else torch.tensor([given.n_samples])
    return Tokens(tokens.codes, n_samples, c.sample_rate, c.hop_length, given.fingerprint), given.provenance


def _of_stream(content: bytes, tokenizer: Tokenizer) -> tuple[Tokens, Provenance]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"body{STREAM_SUFFIX}")
        path.write_bytes(content)
        try:
            tokens = bitstream.load(path, tokenizer.token_model)
        except bitstream.BitstreamError as error:
            raise ApiError(str(error).replace(f"{path}", "body")) from error
    return tokens, dict(bitstream.Header.read(io.BytesIO(content)).metadata)


def _to_stream(tokens: Tokens, provenance: Provenance, tokenizer: Tokenizer) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"answer{STREAM_SUFFIX}")
        bitstream.save(path, tokens, tokenizer.config.codebook_sizes, tokenizer.token_model, provenance)
        return path.read_bytes()
