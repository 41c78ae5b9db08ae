"""Opus: linear prediction below about 10 kbit/s, transform coding above."""

from __future__ import annotations

from torch import Tensor

from eval.systems.base import SAMPLE_RATE, Coded, convert, of_wav, require_programs, to_wav
from eval.systems.ogg import payload_bits


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
        data = convert(["opusenc", "--quiet", *self.options], to_wav(waveform, SAMPLE_RATE), ".opus")
        return Coded(payload_bits(data, n_headers=2), data)

    def decode(self, coded: Coded) -> Tensor:
        return of_wav(convert(["opusdec", "--quiet", "--rate", str(SAMPLE_RATE)], coded.data, ".wav"))
