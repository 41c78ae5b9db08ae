"""Voice activity: the probability of speech in each frame, by Silero VAD (MIT licence)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import soxr
import torch
from torch import Tensor

from codec.extras import MissingDependencyError, needs

_RATE = 16_000  # Hz, of the model
_CHUNK = 512  # samples per probability


def frame_activity(waveform: Tensor, sample_rate: int, hop_length: int) -> Tensor:
    """Compute the probability of speech in each frame: the highest of the 32 ms chunks that overlap it.

    Thread-safe.

    Args:
        waveform: samples `[L]` float32, L >= 1.
        sample_rate: of the samples, in Hz.
        hop_length: samples per frame.

    Returns:
        `[ceil(L / hop_length)]` float32 in [0, 1].

    Raises:
        ValueError: the waveform is empty or has channels.
        MissingDependencyError: the package `silero-vad` or `onnxruntime` is not installed.
    """
    if waveform.ndim != 1 or not len(waveform):
        raise ValueError(f"waveform: shape {tuple(waveform.shape)}; expected [L] with at least one sample")
    x = waveform.numpy(force=True)
    if sample_rate != _RATE:
        x = soxr.resample(x, sample_rate, _RATE, quality="HQ")
    if not len(x):  # shorter than one sample of the model
        x = np.zeros(1, np.float32)
    probs = load_detector().audio_forward(x, _RATE)  # [chunks]
    # Frame j lasts `step` from `j * step` and chunk i `size` from `i * size`, in units of 1 / (_RATE * sample_rate) s.
    step, size = hop_length * _RATE, _CHUNK * sample_rate
    start = step * np.arange(-(-len(waveform) // hop_length))[:, None]
    last = np.minimum((start + step - 1) // size, len(probs) - 1)
    touched = np.minimum(start // size + np.arange(step // size + 2), last)
    return torch.from_numpy(probs[touched].max(1))


@cache  # stateless, so threads can share it
def load_detector() -> Any:
    """Load the model of the package `silero-vad`, once.

    Raises:
        MissingDependencyError: a package is not installed, or too old.
    """
    n_threads = torch.get_num_threads()
    try:
        with needs("silero-vad", "voice activity detection", "train"):
            from silero_vad import load_silero_vad

            return load_silero_vad(sequence=True)
    except TypeError as error:  # older versions do not know `sequence`
        raise MissingDependencyError(f"voice activity detection: {error}; pip install -U silero-vad") from error
    finally:
        torch.set_num_threads(n_threads)  # the package sets it to 1 for the whole process
