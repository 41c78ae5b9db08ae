"""`POST /v1/audio/transcriptions`, as OpenAI defines it: the text of a recording, where the server has a recognizer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from fastapi import APIRouter, File, Form, Request
from fastapi.responses import PlainTextResponse
from torch import Tensor

from codec.extras import MissingDependencyError, needs
from codec.serve.errors import ApiError
from codec.serve.upload import read_upload

SAMPLE_RATE = 16_000

Recognizer = Callable[[Tensor, str | None], str]  # (waveform [L] at SAMPLE_RATE, ISO 639-1 code or None) -> text

router = APIRouter(prefix="/v1/audio")


def load_recognizer(source: str) -> Recognizer:
    """A Whisper that faster-whisper runs on the processor.

    Args:
        source: folder of a model converted for CTranslate2, or a size or repository id that is in the local Hugging
            Face cache; nothing is downloaded.

    Raises:
        MissingDependencyError: faster-whisper or the model is not there.
    """
    with needs("faster-whisper", "recognition"):
        from faster_whisper import WhisperModel
    try:
        model: Any = WhisperModel(
            source, device="cpu", compute_type="int8", cpu_threads=torch.get_num_threads(), local_files_only=True
        )
    except Exception as error:  # CTranslate2 and tokenizers raise many kinds for files that are not theirs
        remedy = "run hf download Systran/faster-whisper-small (or another) and give its id, or a folder"
        raise MissingDependencyError(f"recognizer {source}: cannot be loaded ({error}); {remedy}") from error

    def recognize(waveform: Tensor, language: str | None) -> str:
        segments, _ = model.transcribe(waveform.numpy(), language=language, condition_on_previous_text=False)
        return "".join(segment.text for segment in segments).strip()

    return recognize


@router.post("/transcriptions", response_model=None, responses={200: {"content": {"text/plain": {}}}})
async def transcribe(
    request: Request,
    file: Annotated[bytes, File()],
    model: Annotated[str, Form()],
    language: Annotated[str | None, Form(pattern="^[a-z]{2,3}$")] = None,
    response_format: Annotated[Literal["json", "text"], Form()] = "json",
) -> PlainTextResponse | dict[str, str]:
    """The text of a recording."""
    state = request.app.state
    if model not in state.recognizers:
        names = ", ".join(state.recognizers) or "none; start it with --recognizer"
        raise ApiError(f"model {model!r}: this server's recognizers are {names}", 404, "model")
    async with state.recognizer_turn:
        samples, _ = await asyncio.to_thread(read_upload, file, SAMPLE_RATE)
        try:
            text = await asyncio.to_thread(state.recognizers[model], samples, language)
        except ValueError as error:  # of the language
            raise ApiError(f"language: {error}", param="language") from error
    return PlainTextResponse(text) if response_format == "text" else {"text": text}
