"""Opus: linear prediction below about 10 kbit/s, transform coding above."""

from __future__ import annotations

import tempfile
from pathlib import Path

import soundfile
from torch import Tensor

from eval.baselines.base import SAMPLE_RATE, Coded, of_pcm, require_programs, run_program, to_pcm
from eval.baselines.ogg import payload_bits


class Opus:
    """opusenc and opusdec, variable bitrate.

    Args:
        bitrate: target in kbit/s; what is reported is what it takes.
        frame_ms: duration of a packet, 20 or 60 ms.

    Raises:
        MissingProgramError: they are not installed.
    """

    version = ""
    lag = 0  # opusdec drops the delay that the header states
    codebook_sizes = ()

    def __init__(self, bitrate: int, frame_ms: int = 20) -> None:
        require_programs("opus-tools", "opusenc", "opusdec")
        self.name = f"opus-{bitrate}" + (f"-{frame_ms}ms" if frame_ms != 20 else "")
        self.options = ["--bitrate", str(bitrate), "--framesize", str(frame_ms)]

    def encode(self, waveform: Tensor) -> Coded:
        with tempfile.TemporaryDirectory() as name:
            wav, coded = Path(name) / "in.wav", Path(name) / "coded.opus"
            soundfile.write(wav, to_pcm(waveform, SAMPLE_RATE), SAMPLE_RATE)
            run_program(["opusenc", "--quiet", *self.options, wav, coded])
            data = coded.read_bytes()
        return Coded(payload_bits(data, n_headers=2), data)

    def decode(self, coded: Coded) -> Tensor:
        with tempfile.TemporaryDirectory() as name:
            file, out = Path(name) / "coded.opus", Path(name) / "out.wav"
            file.write_bytes(coded.data)
            run_program(["opusdec", "--quiet", "--rate", str(SAMPLE_RATE), file, out])
            return of_pcm(*soundfile.read(out, dtype="int16"))
