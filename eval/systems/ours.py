"""Our codecs as systems."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from codec.bitstream import load, save
from codec.tokenizer import Tokenizer
from eval.systems.base import SAMPLE_RATE, Coded, System, check_n_q, resample


class CodecSystem(System):
    """One of our codecs with its first `n_q` codebooks (all by default).

    Bits are those of the codes, frames x log2(codebook sizes), without entropy coding.

    Raises:
        ValueError: the codec has no `n_q` codebooks.
    """

    lag = 0  # encoder and decoder are causal on one grid of frames: sample t of the output is sample t of the input

    def __init__(self, tokenizer: Tokenizer, n_q: int | None = None, name: str = "codec") -> None:
        sizes = tokenizer.config.codebook_sizes
        self.n_q = check_n_q(name, n_q, len(sizes))
        self.tokenizer, self.name, self.version = tokenizer, name, tokenizer.fingerprint
        self.codebook_sizes = sizes[: self.n_q]

    def encode(self, waveform: Tensor) -> Coded:
        tokens = self.tokenizer.encode(waveform, SAMPLE_RATE).prefix(self.n_q)
        codes = tokens.codes[0, :, : int(tokens.lengths[0])]
        return Coded(codes.shape[1] * sum(map(math.log2, self.codebook_sizes)), tokens, codes)

    def decode(self, coded: Coded) -> Tensor:
        output = self.tokenizer.decode(coded.data)[0].cpu()
        return resample(output, self.tokenizer.config.sample_rate, SAMPLE_RATE)


class FileSystem(CodecSystem):
    """The same as `.c37` files; bits are those of whole files, entropy-coded where the codec has a token model."""

    def __init__(self, tokenizer: Tokenizer, n_q: int | None = None, name: str = "codec") -> None:
        super().__init__(tokenizer, n_q, name)
        self.model = tokenizer.token_model
        self.version += f"+{self.model.fingerprint()}" if self.model else ""

    def encode(self, waveform: Tensor) -> Coded:
        coded = super().encode(waveform)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "recording.c37")
            save(path, coded.data, self.tokenizer.config.codebook_sizes, self.model)
            return replace(coded, bits=8 * path.stat().st_size, data=load(path, self.model))
