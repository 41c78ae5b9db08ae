"""Codec 2: parametric narrowband coding at 0.7 to 3.2 kbit/s."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from eval.systems.base import Coded, convert, of_pcm, require_programs, to_pcm

RATE = 8_000  # Hz
FRAME_BITS = {"3200": 64, "2400": 48, "1600": 64, "700C": 28}  # c2enc pads each frame to whole bytes


class Codec2:
    """One `mode` of c2enc and c2dec: 3200, 2400, 1600 or 700C.

    Raises:
        MissingProgramError: they are not installed.
    """

    version = ""
    lag = None
    codebook_sizes = ()

    def __init__(self, mode: str) -> None:
        require_programs("codec2", "c2enc", "c2dec")
        self.name, self.mode = f"codec2-{mode}", mode

    def encode(self, waveform: Tensor) -> Coded:
        data = convert(["c2enc", self.mode], to_pcm(waveform, RATE).tobytes(), "")  # .c2 would add a header
        frame_bits = FRAME_BITS[self.mode]
        n_frames = len(data) // math.ceil(frame_bits / 8)  # the file has no header
        return Coded(float(n_frames * frame_bits), data)

    def decode(self, coded: Coded) -> Tensor:
        samples = convert(["c2dec", self.mode], coded.data, ".raw")
        return of_pcm(np.frombuffer(samples, "<i2"), RATE)
