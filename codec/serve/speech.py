"""Text to speech as OpenAI's API defines it, audio or events, each packet as soon as it is made."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from torch import Tensor

from codec.serve.engine import Engine
from codec.serve.errors import ApiError, as_api_error, body
from codec.serve.formats import AUDIO, MEDIA_TYPES, Encoder
from codec.serve.handle import Handle
from codec.serve.metrics import Metrics
from codec.serve.voices import VoiceStore
from codec.tts.sampling import Sampling
from codec.tts.voices import Voice, provenance_comment

MAX_CHARS = 4096  # of a text
Format = Literal["mp3", "opus", "flac", "wav", "pcm"]
IGNORED = '299 - "instructions: this model does not read them"'

router = APIRouter(prefix="/v1")


class VoiceId(BaseModel):
    """A voice as an object."""

    id: str


class SpeechRequest(BaseModel):
    """What OpenAI defines, and `language` and `seed` beside it."""

    model: str
    input: Annotated[str, Field(min_length=1, max_length=MAX_CHARS)]
    voice: str | VoiceId
    instructions: str | None = None
    response_format: Format = "mp3"
    speed: float = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    language: str | None = None  # of the text, a BCP-47 tag; the voice's unless given
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0  # the same one gives the same speech


@router.post(
    "/audio/speech",
    response_class=StreamingResponse,
    responses={200: {"content": AUDIO["content"] | {"text/event-stream": {}}}},
)
async def speak(wanted: SpeechRequest, request: Request) -> StreamingResponse:
    """Speak a text."""
    state = request.app.state
    check(wanted.model, wanted.speed, state.model_name)
    start = time.monotonic()
    handle, voice = await asyncio.to_thread(_submit, wanted, state.engine, state.voices, request.state.client)
    try:
        first = await anext(handle, None)  # what fails before it has a status of its own
    except BaseException:
        handle.cancel()
        raise
    state.metrics.first_audio.observe(time.monotonic() - start)
    tts = state.engine.tts
    encoder = state.encoders.make(wanted.response_format, provenance_comment(voice))
    blocks, kind = _encoded(handle, first, encoder, state.metrics), MEDIA_TYPES[wanted.response_format]
    if wanted.stream_format == "sse":
        blocks, kind = _events(blocks, handle, tts.codec.config.hop_length), "text/event-stream"
    headers = {"Warning": IGNORED} if wanted.instructions else {}
    return StreamingResponse(blocks, media_type=kind, headers=headers)


@router.get("/models")
def list_models(request: Request) -> dict[str, Any]:
    """The voice model that is served, and recognizers."""
    return {"object": "list", "data": _models(request)}


@router.get("/models/{name:path}")
def get_model(name: str, request: Request) -> dict[str, Any]:
    """The model of a name."""
    models = {model["id"]: model for model in _models(request)}
    if name not in models:
        raise ApiError(f"model {name!r}: this server has {', '.join(models)}", 404, "model")
    return models[name]


def _models(request: Request) -> list[dict[str, Any]]:
    """The voice model first."""
    state = request.app.state
    about = {"object": "model", "created": 0, "owned_by": "codec37"}
    knows_words = state.engine.tts.model.move_head is not None
    speaks = {"id": state.model_name, "speaks": True, "word_timestamps": knows_words}
    return [about | model for model in (speaks, *({"id": name, "speaks": False} for name in state.recognizers))]


def check(model: str, speed: float, model_name: str) -> None:
    """Refuse another model than that of a name, and another speed than its own.

    Raises:
        ApiError: it is one.
    """
    if model != model_name:
        raise ApiError(f"model {model!r}: this server has {model_name!r}", 404, "model")
    if speed != 1.0:
        raise ApiError(f"speed = {speed:g}: this model speaks at 1.0 only; leave it out", 400, "speed")


def usage(n_text: int, n_frames: int) -> dict[str, int]:
    """What a request took, in OpenAI's terms."""
    return {"input_tokens": n_text, "output_tokens": n_frames, "total_tokens": n_text + n_frames}


def _submit(wanted: SpeechRequest, engine: Engine, voices: VoiceStore, client: str) -> tuple[Handle, Voice]:
    """Read the text and queue it."""
    speaker = voices.get(wanted.voice if isinstance(wanted.voice, str) else wanted.voice.id)
    sampling = Sampling(seed=wanted.seed)
    speech = engine.tts.request(wanted.input, speaker.voice, sampling, wanted.language or speaker.language)
    return engine.submit(speech, client), speaker.voice


async def _encoded(handle: Handle, first: Tensor | None, encoder: Encoder, metrics: Metrics) -> AsyncIterator[bytes]:
    """Blocks of audio as they are made; the request leaves the engine with its reader."""
    try:
        if first is not None:
            yield encoder.push(first)
        async for packet in handle:
            if block := encoder.push(packet):
                yield block
        yield encoder.close()
    finally:
        handle.cancel()
        metrics.count(handle)


async def _events(blocks: AsyncIterator[bytes], handle: Handle, hop_length: int) -> AsyncIterator[bytes]:
    """Blocks as events, the last of which says what was used, or what went wrong."""
    try:
        async for block in blocks:
            if block:
                yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(block).decode()})
    except Exception as error:
        yield _event({"type": "error", **body(as_api_error(error))})
        return
    used = usage(handle.n_text, handle.n_samples // hop_length)
    yield _event({"type": "speech.audio.done", "usage": used})


def _event(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content)}\n\n".encode()
