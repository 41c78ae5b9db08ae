"""Text to speech over a WebSocket, for text that is still being written; messages as of vLLM-Omni."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, Field, TypeAdapter

from codec.serve.connection import Connection, InputDone, SessionClose, connect, parse
from codec.serve.engine import Engine
from codec.serve.errors import ApiError
from codec.serve.handle import Handle
from codec.serve.metrics import Metrics
from codec.serve.open_text import OpenText
from codec.serve.speech import Format, check, usage
from codec.serve.voices import VoiceStore
from codec.serve.watermark import Encoders
from codec.tts.sampling import Sampling
from codec.tts.timing import Word
from codec.tts.voices import Voice, provenance_comment

MAX_CHARS = 16_384  # of an utterance
MAX_UTTERANCES = 4  # of a session that are not spoken yet

router = APIRouter(prefix="/v1")


class SessionConfig(BaseModel):
    """How to speak what follows; fields that are not known are ignored."""

    type: Literal["session.config"]
    voice: str
    model: str | None = None
    response_format: Format = "pcm"
    speed: float = 1.0
    language: str | None = None  # of the text, a BCP-47 tag; the voice's unless given
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    word_timestamps: bool = False


class InputText(BaseModel):
    """More of the utterance's text, cut anywhere."""

    type: Literal["input.text"]
    text: Annotated[str, Field(max_length=MAX_CHARS)]


class ResponseCancel(BaseModel):
    """Say no more of any utterance so far."""

    type: Literal["response.cancel"]


_Message = SessionConfig | InputText | InputDone | ResponseCancel | SessionClose
_MESSAGES: TypeAdapter[_Message] = TypeAdapter(Annotated[_Message, Field(discriminator="type")])


@router.websocket("/audio/speech/stream")
async def stream(socket: WebSocket) -> None:
    """Speak utterances while they are written, one after the other."""
    async with connect(socket) as connection:
        if connection is not None:
            await _Session(connection, socket).run()


@dataclass(eq=False)
class _Utterance:
    config: SessionConfig
    text: OpenText
    voice: Voice
    number: int
    n_chars: int = 0
    handle: Handle | None = None
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True
        self.leave()

    def leave(self) -> None:
        self.text.close()
        if self.handle is not None:
            self.handle.cancel()

    def usage(self, hop_length: int) -> dict[str, int]:
        n_text, n_samples = (self.handle.n_text, self.handle.n_samples) if self.handle is not None else (0, 0)
        return usage(n_text, n_samples // hop_length)


class _Session:
    """One connection: messages are read while utterances are spoken in a task of their own."""

    def __init__(self, connection: Connection, socket: WebSocket) -> None:
        state = socket.app.state
        self.engine: Engine = state.engine
        self.voices: VoiceStore = state.voices
        self.metrics: Metrics = state.metrics
        self.encoders: Encoders = state.encoders
        self.model_name: str = state.model_name
        self.client: str = socket.state.client
        self.connection = connection
        self.config: SessionConfig | None = None
        self.open: _Utterance | None = None  # the one that is being written
        self.unspoken: list[_Utterance] = []
        self.n_utterances = 0
        self.is_closing = False
        self._turns: asyncio.Queue[_Utterance | None] = asyncio.Queue()

    async def run(self) -> None:
        speaker = asyncio.create_task(self._speak_all())
        try:
            while (message := await self.connection.receive()) is not None:
                try:
                    await self._take(parse(_MESSAGES, message))
                except Exception as error:
                    await self.connection.fail(error)
        finally:
            self._cancel()
            speaker.cancel()
            await asyncio.gather(speaker, return_exceptions=True)

    async def _take(self, message: _Message) -> None:
        if self.is_closing:
            raise ApiError("the session is closing; open another one")
        match message:
            case SessionConfig():
                await self._configure(message)
            case InputText():
                await self._write(message.text)
            case InputDone():
                self._end_utterance()
            case ResponseCancel():
                self._cancel()
            case SessionClose():
                self._end_utterance()
                self.is_closing = True
                self._turns.put_nowait(None)

    async def _configure(self, config: SessionConfig) -> None:
        if self.open is not None:
            raise ApiError("session.config: an utterance is being written; send input.done first")
        check(config.model or self.model_name, config.speed, self.model_name)
        if config.word_timestamps and self.engine.tts.model.move_head is None:
            raise ApiError("word_timestamps: this model does not know them; leave it out", param="word_timestamps")
        trial = await asyncio.to_thread(self._begin, config, 0)  # whatever is wrong with it
        trial.leave()
        self.config = config

    def _begin(self, config: SessionConfig, number: int) -> _Utterance:
        served = self.voices.get(config.voice)
        language = config.language or served.language
        text = OpenText(self.engine.tts, served.voice, Sampling(seed=config.seed), language)
        return _Utterance(config, text, served.voice, number)

    async def _write(self, text: str) -> None:
        if self.config is None:
            raise ApiError("input.text: send session.config first")
        if self.open is None:
            if len(self.unspoken) >= MAX_UTTERANCES:
                raise ApiError(f"{len(self.unspoken)} utterances are not spoken yet; wait for session.done", 429)
            self.open = await asyncio.to_thread(self._begin, self.config, self.n_utterances)
            self.n_utterances += 1
            self.unspoken.append(self.open)
            self._turns.put_nowait(self.open)
        if self.open.n_chars + len(text) > MAX_CHARS:
            raise ApiError(f"text: at most {MAX_CHARS} characters an utterance; send input.done first", 413, "text")
        self.open.n_chars += len(text)
        self.open.text.append(text)

    def _end_utterance(self) -> None:
        if self.open is not None:
            self.open.text.close()
            self.open = None

    def _cancel(self) -> None:
        for utterance in self.unspoken:
            utterance.cancel()
        self.open = None

    async def _speak_all(self) -> None:
        while (utterance := await self._turns.get()) is not None:
            await self._speak(utterance)
        await self.connection.close()

    async def _speak(self, utterance: _Utterance) -> None:
        about = {"utterance_index": utterance.number, "sentence_index": 0}
        error: Exception | None = None
        try:
            n_bytes = await self._send_audio(utterance, about)
        except Exception as caught:
            error, n_bytes = caught, 0
            await self.connection.fail(caught, **about)
        finally:
            self._forget(utterance)
        ending = {"error": error is not None, "cancelled": utterance.is_cancelled}
        await self.connection.tell("audio.done", **about, total_bytes=n_bytes, **ending)
        usage = utterance.usage(self.engine.tts.codec.config.hop_length)
        number = utterance.number
        await self.connection.tell("session.done", utterance_index=number, total_sentences=1, **ending, usage=usage)

    def _forget(self, utterance: _Utterance) -> None:
        self.unspoken.remove(utterance)
        if self.open is utterance:
            self.open = None
        utterance.leave()
        if utterance.handle is not None:
            self.metrics.count(utterance.handle)

    async def _send_audio(self, utterance: _Utterance, about: dict[str, int]) -> int:
        """All that is said, and the words' times; the number of bytes."""
        config, tts = utterance.config, self.engine.tts
        encoder = self.encoders.make(config.response_format, provenance_comment(utterance.voice))
        n_bytes, start = 0, time.monotonic()
        form = {"format": config.response_format, "sample_rate": tts.sample_rate, "channels": 1}

        async def send(block: bytes) -> None:
            nonlocal n_bytes
            if block and not utterance.is_cancelled:
                n_bytes += len(block)
                await self.connection.send(block)

        handle = self._submit(utterance)
        packet = await anext(handle, None)
        if packet is not None:
            self.metrics.first_audio.observe(time.monotonic() - start)
        await self.connection.tell("audio.start", **about, **form)
        while packet is not None:
            for frame in packet.split(tts.codec.config.hop_length):
                await send(encoder.push(frame))
            if config.word_timestamps:
                await self._send_words(handle, about)
            packet = await anext(handle, None)
        await send(encoder.close())
        if config.word_timestamps:
            await self._send_words(handle, about)
        return n_bytes

    def _submit(self, utterance: _Utterance) -> Handle:
        utterance.handle = self.engine.submit_open(utterance.text, self.client)
        if utterance.is_cancelled:
            utterance.handle.cancel()
        return utterance.handle

    async def _send_words(self, handle: Handle, about: dict[str, int]) -> None:
        words, handle.words = handle.words, deque()
        if words:
            await self.connection.tell("audio.chunk", **about, timestamps=[self._timestamp(word) for word in words])

    def _timestamp(self, word: Word) -> dict[str, Any]:
        frame_ms = 1000 / self.engine.tts.codec.config.frame_rate
        return {"word": word.text, "start_ms": round(word.start * frame_ms), "end_ms": round(word.end * frame_ms)}
