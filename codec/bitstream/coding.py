"""Coding of frames to bytes by layer, at a fixed rate or with an entropy coder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.bitstream.header import BitstreamError, Header
from codec.bitstream.networks import FLOOR, UNITS
from codec.bitstream.radix import pack, unpack
from codec.bitstream.token_model import TokenModel

WORD = np.dtype("<u4")  # of the range coder
# By units below the most likely code; rounded, as the last bit of exp depends on the machine.
LIKELIHOODS = (np.round(2**20 * np.exp(-np.arange(FLOOR + 1) / UNITS)) + 1).astype(np.float32)


class Coding(Protocol):
    """Coding of frames to the bytes of a packet's layers."""

    def encode(self, codes: NDArray[np.integer]) -> tuple[bytes, ...]:
        """Encode codes `[n_q, T]`, up to the end of a layer, to bytes for each layer."""

    def decode(self, layers: Sequence[bytes], n_frames: int) -> NDArray[np.int64]:
        """Decode codes `[n_q, T]` from the first layers. Raises ValueError if the bytes are invalid."""


def make_coding(header: Header, model: TokenModel | None) -> Coding:
    """Make the coding of a stream.

    Raises:
        BitstreamError: the stream needs a token model, and `model` is None or another one.
        ImportError: the package constriction is not installed.
    """
    if not header.token_model:
        return FixedRate(header)
    if model is None or model.fingerprint() != header.token_model:
        given = model.fingerprint() if model else "none"
        raise BitstreamError(f"coded with token model {header.token_model}, given is {given}; use that of the codec")
    return EntropyCoding(header, model)


class FixedRate:
    """Mixed radix: every frame has the same number of bits."""

    def __init__(self, header: Header) -> None:
        self.layers = header.layers

    def encode(self, codes: NDArray[np.integer]) -> tuple[bytes, ...]:
        return tuple(pack(codes[part], sizes) for part, sizes in self.layers if part.stop <= len(codes))

    def decode(self, layers: Sequence[bytes], n_frames: int) -> NDArray[np.int64]:
        received = zip(layers, self.layers, strict=False)
        return np.concatenate([unpack(data, sizes, n_frames) for data, (_, sizes) in received])


class EntropyCoding:
    """Range coding with a token model, independent for each packet.

    Layers are coded one after the other in one code, so a layer has no overhead; its bytes are those added to the code.
    """

    def __init__(self, header: Header, model: TokenModel) -> None:
        from constriction import stream  # of an extra

        if (model.codebook_sizes, model.layer_ends) != (header.codebook_sizes, header.layer_ends):
            raise BitstreamError(
                f"token model: for codebooks {model.codebook_sizes} in layers {model.layer_ends}; the stream has "
                f"{header.codebook_sizes} in {header.layer_ends}"
            )
        self.layers, self.model = header.layers, model
        self._encoder, self._decoder = stream.queue.RangeEncoder, stream.queue.RangeDecoder
        self._family = stream.model.Categorical(perfect=False)

    @torch.no_grad()
    def encode(self, codes: NDArray[np.integer]) -> tuple[bytes, ...]:
        coder, ends = self._encoder(), [0]
        frames = torch.cat([self.model.padding()[: len(codes)], torch.from_numpy(codes.astype(np.int64))], dim=1)
        for layer, (part, _) in enumerate(self.layers):
            if part.stop > len(codes):
                break
            for frame, units in zip(codes[part].T, self.model(frames, layer), strict=True):
                coder.encode(frame.astype(np.int32), self._family, likelihoods(units))
            ends.append(coder.num_words() + 1)  # a decoder reads two words ahead; one is counted
        words = coder.get_compressed().astype(WORD)
        ends = [min(end, len(words)) for end in ends[:-1]] + [len(words)]
        return tuple(words[start:end].tobytes() for start, end in pairwise(ends))

    @torch.no_grad()
    def decode(self, layers: Sequence[bytes], n_frames: int) -> NDArray[np.int64]:
        coder = self._decoder(np.frombuffer(b"".join(layers), WORD).astype(np.uint32))
        past = self.model.past
        frames = torch.nn.functional.pad(self.model.padding(), (0, n_frames))
        for layer, (part, _) in enumerate(self.layers[: len(layers)]):
            for t in range(n_frames):
                (units,) = self.model(frames[:, t : t + past + 1], layer)
                frames[part, past + t] = torch.from_numpy(
                    coder.decode(self._family, likelihoods(units)).astype(np.int64)
                )
        return frames[: part.stop, past:].numpy()


def likelihoods(units: Tensor) -> NDArray[np.float32]:
    """Convert log-likelihoods `[codebooks, size]` in `UNITS` to unnormalised probabilities."""
    below = (units.amax(1, keepdim=True) - units).clamp(max=FLOOR)
    return LIKELIHOODS[below.numpy().astype(np.int64)]
