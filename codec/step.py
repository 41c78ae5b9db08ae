"""One step of a stream as a function: some frames and the state go in, what comes of them and the new state come out.

`codec.stream` keeps the books of streams around a step, whichever runtime the step is in: these modules are PyTorch's,
from which `codec.export` makes those of `codec.onnx`.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from codec.config import CodecConfig
from codec.decoder import Decoder
from codec.encoder import Encoder
from codec.model import CHUNK_FRAMES, Codec
from codec.nn.state import State


class Step(Protocol):
    """What a stream asks of its network."""

    config: CodecConfig
    chunk_frames: int  # that a step takes at most, over the whole batch, if more than one of each stream

    @property
    def device(self) -> torch.device: ...

    def init_state(self, batch_size: int) -> State:
        """The state of `batch_size` fresh streams."""

    def __call__(self, x: Tensor, length: Tensor | None, *state: Tensor) -> tuple[Tensor, ...]:
        """Take the next chunk of each stream.

        Args:
            x: whole frames; of a fresh stream at least `config.lead_frames`.
            length: `[B]` int64, the part of the chunk that is real, for streams that end in it; None: all.
            state: of `init_state` or of the step before.

        Returns:
            The output, of which what stands for no real input means nothing, and the state.
        """


class _CodecStep(nn.Module):
    chunk_frames = CHUNK_FRAMES

    def __init__(self, codec: Codec, part: Encoder | Decoder) -> None:
        super().__init__()
        self.part, self.quantizer, self.config = part, codec.quantizer, codec.config
        self.init_state = part.init_state

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


class EncodeStep(_CodecStep):
    """Waveform `[B, T * hop_length]`, its `length` in samples and the state -> (codes `[B, K, T]`, *state).

    Raises:
        MissingEncoderError: the codec has no encoder.
    """

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec, codec.encoder)

    def forward(self, waveform: Tensor, length: Tensor | None, *state: Tensor) -> tuple[Tensor, ...]:
        z, new_state = self.part(waveform, list(state), length)
        return self.quantizer.encode(z), *new_state


class DecodeStep(_CodecStep):
    """Codes `[B, n_q, T]`, their `length` in frames and the state -> (waveform `[B, T * hop_length]`, *state)."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec, codec.decoder)

    def forward(self, codes: Tensor, length: Tensor | None, *state: Tensor) -> tuple[Tensor, ...]:
        waveform, new_state = self.part(self.quantizer.decode(codes), list(state), length)
        return waveform, *new_state
