"""The protocol of systems: from a waveform to a bitstream and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import soxr
import torch
from torch import Tensor

SAMPLE_RATE = 24_000  # Hz, of all inputs and outputs of systems


@dataclass(frozen=True)
class Coded:
    """A coded recording."""

    bits: float  # payload, without what a container adds
    data: Any  # what `decode` needs
    codes: Tensor | None = None  # [K, T] int64, where there are codebooks


class System(Protocol):
    """A codec at one setting."""

    name: str  # as in tables; unique in a run
    version: str = ""  # results are reused only while this stays the same
    lag: int | None = None  # constant delay of the output in samples at 24 kHz; None if it must be searched for
    codebook_sizes: tuple[int, ...] = ()  # entries of each codebook in use; empty for codecs without

    def encode(self, waveform: Tensor) -> Coded:
        """Encode `[L]` float32 at 24 kHz; ValueError or RuntimeError if this waveform cannot be encoded."""

    def decode(self, coded: Coded) -> Tensor:
        """Return about L samples at 24 kHz, delayed by the lag; ValueError or RuntimeError if it cannot be decoded."""


def split_n_q(name: str) -> tuple[str, int | None]:
    """Split `MODEL:N_Q` into both, the number being None where there is none."""
    model, _, count = name.rpartition(":")
    return (model, int(count)) if model and count.isdecimal() else (name, None)


def check_n_q(name: str, n_q: int | None, n_codebooks: int) -> int:
    """Return how many codebooks are in use: `n_q`, or all if None.

    Raises:
        ValueError: `n_q` is not among 1 to `n_codebooks`; the message begins with `name`.
    """
    if n_q is not None and not 1 <= n_q <= n_codebooks:
        raise ValueError(f"{name}: n_q = {n_q}; it has 1 to {n_codebooks} codebooks")
    return n_q or n_codebooks


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Waveform `[L]` at another rate in Hz (soxr VHQ)."""
    if from_rate == to_rate:
        return waveform
    return torch.from_numpy(soxr.resample(waveform.numpy(force=True), from_rate, to_rate, quality="VHQ"))
