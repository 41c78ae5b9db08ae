"""Speex: linear-prediction coding of 8 or 16 kHz speech."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import soundfile
from torch import Tensor

from eval.baselines.base import of_pcm, require_programs, run_program, to_pcm
from eval.baselines.ogg import payload_bits

RATES = {"narrowband": 8_000, "wideband": 16_000}  # Hz


class Speex:
    """speexenc and speexdec at a constant `quality`, 0 to 10.

    Raises:
        MissingProgramError: they are not installed.
    """

    version = ""
    lag = None

    def __init__(self, band: Literal["narrowband", "wideband"], quality: int) -> None:
        require_programs("speex", "speexenc", "speexdec")
        self.name = f"speex-{band[0]}b-{quality}"
        self.options, self.rate = [f"--{band}", "--quality", str(quality)], RATES[band]

    def run(self, waveform: Tensor) -> tuple[Tensor, float]:
        with tempfile.TemporaryDirectory() as name:
            wav, coded, out = (Path(name) / file for file in ("in.wav", "coded.spx", "out.wav"))
            soundfile.write(wav, to_pcm(waveform, self.rate), self.rate)
            run_program(["speexenc", *self.options, wav, coded])
            run_program(["speexdec", coded, out])
            samples, rate = soundfile.read(out, dtype="int16")
            return of_pcm(samples, rate), payload_bits(coded, n_headers=2)
