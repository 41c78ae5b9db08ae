"""Opus: linear prediction below about 10 kbit/s, transform coding above."""

from __future__ import annotations

import tempfile
from pathlib import Path

import soundfile
from torch import Tensor

from eval.baselines.base import SAMPLE_RATE, of_pcm, require_programs, run_program, to_pcm
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

    def __init__(self, bitrate: int, frame_ms: int = 20) -> None:
        require_programs("opus-tools", "opusenc", "opusdec")
        self.name = f"opus-{bitrate}" + (f"-{frame_ms}ms" if frame_ms != 20 else "")
        self.options = ["--bitrate", str(bitrate), "--framesize", str(frame_ms)]

    def run(self, waveform: Tensor) -> tuple[Tensor, float]:
        with tempfile.TemporaryDirectory() as name:
            wav, coded, out = (Path(name) / file for file in ("in.wav", "coded.opus", "out.wav"))
            soundfile.write(wav, to_pcm(waveform, SAMPLE_RATE), SAMPLE_RATE)
            run_program(["opusenc", "--quiet", *self.options, wav, coded])
            run_program(["opusdec", "--quiet", "--rate", str(SAMPLE_RATE), coded, out])
            samples, rate = soundfile.read(out, dtype="int16")
            return of_pcm(samples, rate), payload_bits(coded, n_headers=2)
