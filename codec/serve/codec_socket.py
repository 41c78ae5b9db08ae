"""The codec over a WebSocket: samples in; tokens, what they sound like, or both out, frame by frame."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import numpy as np
import torch
from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, Field, TypeAdapter
from torch import Tensor

from codec.audio.wav import PCM
from codec.serve.connection import Connection, InputDone, SessionClose, connect, parse
from codec.serve.errors import ApiError
from codec.serve.watermark import Encoders
from codec.tokenizer import Tokenizer
from codec.tokens.tokens import Tokens

TURN_SECONDS = 1.0  # of sound, after which others come first

router = APIRouter(prefix="/v1")


class CodecConfig(BaseModel):
    """What to send back; at any time."""

    type: Literal["session.config"]
    output: Literal["codes", "pcm", "both"] = "codes"
    n_q: Annotated[int, Field(ge=1)] | None = None  # codebooks; all unless given


_Message = CodecConfig | InputDone | SessionClose
_MESSAGES: TypeAdapter[_Message] = TypeAdapter(Annotated[_Message, Field(discriminator="type")])


@router.websocket("/codec/stream")
async def stream(socket: WebSocket) -> None:
    """Encode and decode samples while they arrive: 16-bit, mono, at the codec's rate."""
    state = socket.app.state
    async with connect(socket) as connection:
        if connection is not None:
            await _Session(connection, state.engine.tts.codec, state.encoders, state.codec_turn).run()


class _Session:
    def __init__(self, connection: Connection, tokenizer: Tokenizer, encoders: Encoders, turn: asyncio.Lock) -> None:
        self.connection, self.tokenizer, self.turn = connection, tokenizer, turn
        self.pcm = encoders.make("pcm", "")
        self.encoder, self.decoder = tokenizer.encoder_stream(), tokenizer.decoder_stream()
        self.config: CodecConfig | None = None
        self.n_samples = 0
        self.n_frames = 0
        self.half = b""  # a sample of which one byte has come

    async def run(self) -> None:
        while (message := await self.connection.receive()) is not None:
            try:
                if isinstance(message, bytes):
                    await self._push(message)
                elif await self._take(parse(_MESSAGES, message)):
                    await self.connection.close()
                    return
            except (ApiError, ValueError) as error:
                await self.connection.fail(error)

    async def _take(self, message: _Message) -> bool:
        """Do what a message says; whether the session ends."""
        if isinstance(message, CodecConfig):
            most = self.tokenizer.config.num_codebooks
            if message.n_q is not None and message.n_q > most:
                raise ApiError(f"n_q = {message.n_q}: this codec has {most} codebooks", param="n_q")
            self.config = message
        if isinstance(message, InputDone):
            await self._send(None)
            await self.connection.tell("session.done", n_samples=self.n_samples, n_frames=self.n_frames)
            self.n_samples = self.n_frames = 0
            self.half = b""
        return isinstance(message, SessionClose)

    async def _push(self, content: bytes) -> None:
        if self.config is None:
            raise ApiError("audio: send session.config first")
        content = self.half + content
        whole = len(content) - len(content) % 2
        self.half = content[whole:]
        samples = torch.from_numpy(np.frombuffer(content[:whole], PCM).astype(np.int16))
        self.n_samples += len(samples)
        for part in samples.split(round(TURN_SECONDS * self.tokenizer.config.sample_rate)):
            await self._send(part)

    async def _send(self, samples: Tensor | None) -> None:
        """Send what follows of more samples, or, without any, of their end."""
        config = self.config
        if config is None:
            return
        async with self.turn:
            tokens, waveform = await asyncio.to_thread(self._run, samples, config)
        self.n_frames += tokens.codes.shape[2]
        if config.output != "pcm" and tokens.codes.shape[2]:
            await self.connection.tell("codec.codes", codes=tokens.codes[0].tolist())
        if len(waveform):
            for frame in waveform.split(self.tokenizer.config.hop_length):
                await self.connection.send(self.pcm.push(frame))

    def _run(self, samples: Tensor | None, config: CodecConfig) -> tuple[Tokens, Tensor]:
        tokens = self.encoder.flush() if samples is None else self.encoder.push(samples)
        tokens = tokens if config.n_q is None else tokens.prefix(config.n_q)
        if config.output == "codes":
            return tokens, torch.zeros(0)
        waveform = self.decoder.push(tokens)[0]
        return tokens, waveform if samples is not None else torch.cat([waveform, self.decoder.flush()[0]])
