"""Codec 2: parametric narrowband coding at 0.7 to 3.2 kbit/s."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
from torch import Tensor

from eval.baselines.base import of_pcm, require_programs, run_program, to_pcm

RATE = 8_000  # Hz
FRAME_BITS = {"3200": 64, "2400": 48, "1600": 64, "700C": 28}  # c2enc pads each frame to whole bytes


class Codec2:
    """One `mode` of c2enc and c2dec: 3200, 2400, 1600 or 700C.

    Raises:
        MissingProgramError: they are not installed.
    """

    version = ""
    lag = None

    def __init__(self, mode: str) -> None:
        require_programs("codec2", "c2enc", "c2dec")
        self.name, self.mode = f"codec2-{mode}", mode

    def run(self, waveform: Tensor) -> tuple[Tensor, float]:
        with tempfile.TemporaryDirectory() as name:
            raw, bits, out = (Path(name) / file for file in ("in.raw", "bits", "out.raw"))
            to_pcm(waveform, RATE).tofile(raw)
            run_program(["c2enc", self.mode, raw, bits])
            run_program(["c2dec", self.mode, bits, out])
            frame_bits = FRAME_BITS[self.mode]
            n_frames = bits.stat().st_size // math.ceil(frame_bits / 8)  # the file has no header
            return of_pcm(np.fromfile(out, "<i2"), RATE), float(n_frames * frame_bits)
