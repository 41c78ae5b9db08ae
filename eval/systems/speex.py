"""Speex: linear-prediction coding of 8 or 16 kHz speech."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from eval.systems.base import Coded, convert, of_wav, require_programs, to_wav
from eval.systems.ogg import payload_bits

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
        data = convert(["speexenc", *self.options], to_wav(waveform, self.rate), ".spx")
        return Coded(payload_bits(data, n_headers=2), data)

    def decode(self, coded: Coded) -> Tensor:
        return of_wav(convert(["speexdec"], coded.data, ".wav"))
