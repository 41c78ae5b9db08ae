"""Codec 2: parametric narrowband coding at 0.7 to 3.2 kbit/s."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
from torch import Tensor

from eval.baselines.base import Coded, of_pcm, require_programs, run_program, to_pcm

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
        with tempfile.TemporaryDirectory() as name:
            raw, bits = Path(name) / "in.raw", Path(name) / "bits"
            to_pcm(waveform, RATE).tofile(raw)
            run_program(["c2enc", self.mode, raw, bits])
            data = bits.read_bytes()
        frame_bits = FRAME_BITS[self.mode]
        n_frames = len(data) // math.ceil(frame_bits / 8)  # the file has no header
        return Coded(float(n_frames * frame_bits), data)

    def decode(self, coded: Coded) -> Tensor:
        with tempfile.TemporaryDirectory() as name:
            bits, out = Path(name) / "bits", Path(name) / "out.raw"
            bits.write_bytes(coded.data)
            run_program(["c2dec", self.mode, bits, out])
            return of_pcm(np.fromfile(out, "<i2"), RATE)
