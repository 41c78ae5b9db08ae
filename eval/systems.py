"""Systems by name: our checkpoints at any number of codebooks, and the baselines."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor

from codec.tokenizer import Tokenizer, load
from eval.baselines.base import SAMPLE_RATE, Coded, System, resample
from eval.baselines.codec2 import Codec2
from eval.baselines.opus import Opus
from eval.baselines.speex import Speex

BASELINES: dict[str, Callable[[], System]] = {
    "codec2-700C": partial(Codec2, "700C"),
    "codec2-1600": partial(Codec2, "1600"),
    "codec2-2400": partial(Codec2, "2400"),
    "codec2-3200": partial(Codec2, "3200"),
    "speex-nb-0": partial(Speex, "narrowband", 0),
    "speex-nb-1": partial(Speex, "narrowband", 1),
    "speex-wb-1": partial(Speex, "wideband", 1),
    "opus-6-60ms": partial(Opus, 6, 60),
    "opus-6": partial(Opus, 6),
    "opus-9": partial(Opus, 9),
    "opus-12": partial(Opus, 12),
    "opus-16": partial(Opus, 16),
    "opus-24": partial(Opus, 24),
}


class CodecSystem:
    """One of our codecs with its first `n_q` codebooks (all by default).

    Bits are those of the codes, frames x log2(codebook sizes), before any entropy coding.

    Raises:
        ValueError: the codec has no `n_q` codebooks.
    """

    lag = 0  # encoder and decoder are causal on one grid of frames: sample t of the output is sample t of the input

    def __init__(self, tokenizer: Tokenizer, n_q: int | None = None, name: str = "codec") -> None:
        sizes = tokenizer.config.codebook_sizes
        self.n_q = len(sizes) if n_q is None else n_q
        if not 1 <= self.n_q <= len(sizes):
            raise ValueError(f"{name}: n_q = {n_q}; it has 1 to {len(sizes)} codebooks")
        self.tokenizer, self.name, self.version = tokenizer, name, tokenizer.fingerprint
        self.codebook_sizes = sizes[: self.n_q]

    def encode(self, waveform: Tensor) -> Coded:
        tokens = self.tokenizer.encode(waveform, SAMPLE_RATE).prefix(self.n_q)
        bits_per_frame = sum(math.log2(size) for size in self.codebook_sizes)
        codes = tokens.codes[0, :, : int(tokens.lengths[0])]
        return Coded(codes.shape[1] * bits_per_frame, tokens, codes)

    def decode(self, coded: Coded) -> Tensor:
        output = self.tokenizer.decode(coded.data)[0].cpu()
        return resample(output, self.tokenizer.config.sample_rate, SAMPLE_RATE)


def make_system(spec: str, device: str = "cpu") -> System:
    """The system called `spec`: a name in `BASELINES`, or MODEL or MODEL:n_q for a checkpoint, hub id or preset.

    Raises:
        MissingProgramError: a baseline's program is not installed.
        ValueError: no such baseline or checkpoint, or not so many codebooks.
    """
    if spec in BASELINES:
        return BASELINES[spec]()
    model, colon, n_q = spec.rpartition(":")
    has_n_q = bool(colon) and n_q.isdecimal()
    try:
        tokenizer = load(model if has_n_q else spec, device)
    except ValueError as error:
        raise ValueError(f"system {spec}: {error}; the baselines are {' '.join(BASELINES)}") from error
    return CodecSystem(tokenizer, int(n_q) if has_n_q else None, spec)
