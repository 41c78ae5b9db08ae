"""Speex: linear-prediction coding of 8 or 16 kHz speech."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import soundfile
from torch import Tensor

from eval.baselines.base import Coded, of_pcm, require_programs, run_program, to_pcm
from eval.baselines.ogg import payload_bits

RATES = {"narrowband": 8_000, "wideband": 16_000}  # Hz


class Speex:
    """speexenc and speexdec at a constant `quality`, 0 to 10.

    Raises:
        MissingProgramError: they are not installed.
    """

    version = ""
    lag = None
    codebook_sizes = ()

    def __init__(self, band: Literal["narrowband", "wideband"], quality: int) -> None:
        require_programs("speex", "speexenc", "speexdec")
        self.name = f"speex-{band[0]}b-{quality}"
        self.options, self.rate = [f"--{band}", "--quality", str(quality)], RATES[band]

    def encode(self, waveform: Tensor) -> Coded:
        with tempfile.TemporaryDirectory() as name:
            wav, coded = Path(name) / "in.wav", Path(name) / "coded.spx"
            soundfile.write(wav, to_pcm(waveform, self.rate), self.rate)
            run_program(["speexenc", *self.options, wav, coded])
            data = coded.read_bytes()
        return Coded(payload_bits(data, n_headers=2), data)

    def decode(self, coded: Coded) -> Tensor:
        with tempfile.TemporaryDirectory() as name:
            file, out = Path(name) / "coded.spx", Path(name) / "out.wav"
            file.write_bytes(coded.data)
            run_program(["speexdec", file, out])
            return of_pcm(*soundfile.read(out, dtype="int16"))
