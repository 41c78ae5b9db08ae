"""Anchors, systems of known quality: they give the scale of a metric and check that a run measures it."""

from __future__ import annotations

from torch import Tensor
from torchaudio.functional import mu_law_decoding, mu_law_encoding

from eval.systems.base import SAMPLE_RATE, Coded, System, resample

SAMPLE_BITS = 16
MU_LAW_LEVELS = 256


class Lowpass(System):
    """Resampling to another rate in Hz and back, the upper bound of a codec of that rate; at 24 kHz the identity.

    Bits are those of 16-bit samples, to which the samples are not rounded.
    """

    lag = 0

    def __init__(self, name: str, sample_rate: int = SAMPLE_RATE) -> None:
        self.name, self.sample_rate = name, sample_rate

    def encode(self, waveform: Tensor) -> Coded:
        x = resample(waveform, SAMPLE_RATE, self.sample_rate)
        return Coded(float(len(x) * SAMPLE_BITS), x)

    def decode(self, coded: Coded) -> Tensor:
        return resample(coded.data, self.sample_rate, SAMPLE_RATE)


class MuLaw(System):
    """Logarithmic 8-bit samples at 24 kHz (mu = 255), 192 kbit/s: noise some 37 dB below loud speech."""

    name = "mulaw"
    lag = 0

    def encode(self, waveform: Tensor) -> Coded:
        levels = mu_law_encoding(waveform.clamp(-1, 1), MU_LAW_LEVELS)
        return Coded(8.0 * len(levels), levels)

    def decode(self, coded: Coded) -> Tensor:
        return mu_law_decoding(coded.data, MU_LAW_LEVELS)
