"""Augmentation of speech `[L]` float32: gain, speed, noise, reverberation, band limits.

All functions are pure; random ones take a generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from codec.settings import Settings, require

Samples = NDArray[np.float32]
Range = tuple[float, float]
MAX_PEAK = 0.99


@dataclass
class AugmentConfig(Settings):
    """Random changes to clips: ranges [low, high] are drawn uniformly; only a light gain is on by default."""

    gain_db: Range = (-6.0, 6.0)  # never beyond a peak of 0.99
    loudness_db: Range | None = None  # RMS level in dBFS, in place of gain_db
    polarity_prob: float = 0.0  # of inverting a clip
    lowpass_prob: float = 0.0  # of a low-pass filter
    lowpass_hz: Range = (3_400.0, 10_000.0)  # its cutoff
    noise_prob: float = 0.0  # of added noise
    noise_snr_db: Range = (10.0, 30.0)  # signal-to-noise ratio
    reverb_prob: float = 0.0  # of reverberation
    reverb_s: Range = (0.1, 0.5)  # its decay time by 60 dB
    speed: Range = (1.0, 1.0)  # playback speed; changes tempo and pitch, so the voice, too

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("polarity_prob", "lowpass_prob", "noise_prob", "reverb_prob"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a probability from 0 to 1")
        for name in ("gain_db", "loudness_db", "speed", "lowpass_hz", "noise_snr_db", "reverb_s"):
            value = getattr(self, name)
            require(value is None or value[0] <= value[1], name, value, "[low, high] with low <= high")
        for name in ("speed", "lowpass_hz", "reverb_s"):
            require(getattr(self, name)[0] > 0, name, getattr(self, name), "positive values")


def augment(x: Samples, sample_rate: int, config: AugmentConfig, rng: np.random.Generator) -> Samples:
    """Apply all random changes but speed, `[L]` to `[L]`: reverberation, low-pass, noise, level, polarity."""
    if rng.random() < config.reverb_prob:
        x = add_reverb(x, rng.uniform(*config.reverb_s), sample_rate, rng)
    if rng.random() < config.lowpass_prob:
        x = lowpass(x, rng.uniform(*config.lowpass_hz), sample_rate)
    if rng.random() < config.noise_prob:
        x = add_noise(x, rng.uniform(*config.noise_snr_db), rng.random() < 0.5, rng)
    if config.loudness_db is not None:
        x = set_loudness(x, rng.uniform(*config.loudness_db))
    else:
        x = apply_gain(x, rng.uniform(*config.gain_db))
    return -x if rng.random() < config.polarity_prob else x


def change_speed(x: Samples, speed: float, sample_rate: int) -> Samples:
    """Resample for playback at `speed` times the tempo and pitch: `[L]` to `[L / speed]`, rounded."""
    return x if speed == 1 else soxr.resample(x, speed * sample_rate, sample_rate)


def apply_gain(x: Samples, gain_db: float) -> Samples:
    """Amplify by `gain_db`, or to a peak of 0.99 at most."""
    gain = 10 ** (gain_db / 20)
    peak = float(np.abs(x).max(initial=0.0))
    return x * np.float32(min(gain, MAX_PEAK / peak) if peak > 0 else gain)


def set_loudness(x: Samples, loudness_db: float) -> Samples:
    """Scale to an RMS level in dBFS, or to a peak of 0.99 at most; silence stays."""
    return apply_gain(x, loudness_db - 20 * np.log10(level)) if (level := rms(x)) > 0 else x


def lowpass(x: Samples, cutoff_hz: float, sample_rate: int) -> Samples:
    """Remove frequencies above `cutoff_hz`, without delay; the last tenth below rolls off."""
    n_fft = _fft_size(len(x) + sample_rate // 10)  # padded: the end must not wrap around to the start
    position = np.fft.rfftfreq(n_fft, 1 / sample_rate) / cutoff_hz
    response = 0.5 + 0.5 * np.cos(np.pi * np.clip((position - 0.9) / 0.1, 0, 1))
    return np.fft.irfft(np.fft.rfft(x, n_fft) * response, n_fft)[: len(x)].astype(np.float32)


def add_noise(x: Samples, snr_db: float, is_pink: bool, rng: np.random.Generator) -> Samples:
    """Add white or pink (1/f) noise, `snr_db` below the RMS level of the clip."""
    noise: NDArray = rng.standard_normal(len(x))
    if is_pink:
        spectrum = np.fft.rfft(noise, n_fft := _fft_size(len(x)))
        noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), n_fft)[: len(x)]
    scale = rms(x) / max(rms(noise), 1e-12) * 10 ** (-snr_db / 20)
    return (x + scale * noise).astype(np.float32)


def add_reverb(x: Samples, decay_s: float, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Convolve with noise that decays by 60 dB in `decay_s`; keeps the level, cuts the tail at `L`."""
    n_tail = max(1, int(decay_s * sample_rate))
    impulse = rng.standard_normal(n_tail) * 10 ** (-3 * np.arange(n_tail) / n_tail)
    impulse *= 10 ** (-rng.uniform(0, 12) / 20) / np.linalg.norm(impulse)  # direct sound 0 to 12 dB above
    impulse[0] = 1.0
    n_fft = _fft_size(len(x) + n_tail)
    wet = np.fft.irfft(np.fft.rfft(x, n_fft) * np.fft.rfft(impulse, n_fft), n_fft)[: len(x)]
    return (wet * (rms(x) / max(rms(wet), 1e-12))).astype(np.float32)


def rms(x: NDArray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) if len(x) else 0.0


def _fft_size(n: int) -> int:
    return 1 << (n - 1).bit_length()
