"""What can be measured: anything that takes a waveform through a bitstream and back."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.extras import MissingDependencyError

SAMPLE_RATE = 24_000  # Hz, of every waveform that enters or leaves a system


@dataclass(frozen=True)
class Coded:
    """A recording as a codec stores it."""

    bits: float  # payload, without what a container adds
    data: Any  # what `decode` needs
    codes: Tensor | None = None  # [K, T] int64, where there are codebooks


class System(Protocol):
    """A codec at one setting."""

    @property
    def name(self) -> str:
        """As in tables; unique in a run."""

    @property
    def version(self) -> str:
        """Results are reused only while this stays the same."""

    @property
    def lag(self) -> int | None:
        """Constant delay of the output in samples at 24 kHz; None if it has to be searched for."""

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Entries of each codebook in use; empty for codecs without."""

    def encode(self, waveform: Tensor) -> Coded:
        """Code `[L]` float32 at 24 kHz.

        Raises:
            ValueError, RuntimeError: this waveform cannot be coded.
        """

    def decode(self, coded: Coded) -> Tensor:
        """The output at 24 kHz, late by the lag and of about L samples.

        Raises:
            ValueError, RuntimeError: it cannot be decoded.
        """


class MissingProgramError(MissingDependencyError):
    """A codec's program is not installed; the message names the Debian package."""


def require_programs(package: str, *names: str) -> None:
    """Raise unless all programs are found on PATH.

    Raises:
        MissingProgramError: one is not.
    """
    for name in names:
        if shutil.which(name) is None:
            raise MissingProgramError(f"{name} not found: install the Debian package {package}")


def run_program(command: Sequence[str | Path]) -> None:
    """Run a program to its end.

    Raises:
        RuntimeError: it fails; the message has the last line it wrote.
    """
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace", check=False)
    if result.returncode:
        last = (result.stderr.strip() or result.stdout.strip()).rpartition("\n")[2]
        raise RuntimeError(f"{command[0]} failed with status {result.returncode}: {last}")


def convert(command: Sequence[str], data: bytes, suffix: str) -> bytes:
    """What a program makes of a file with this content.

    Args:
        command: without its last two arguments, which are the paths of input and output.
        data: content of the input.
        suffix: of the output; some programs go by it.

    Raises:
        RuntimeError: it fails (see `run_program`).
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in", Path(folder) / f"out{suffix}"
        source.write_bytes(data)
        run_program([*command, source, target])
        return target.read_bytes()


def to_wav(waveform: Tensor, sample_rate: int) -> bytes:
    """Waveform `[L]` at 24 kHz as a 16-bit WAV file at `sample_rate`."""
    file = io.BytesIO()
    soundfile.write(file, to_pcm(waveform, sample_rate), sample_rate, format="WAV")
    return file.getvalue()


def of_wav(data: bytes) -> Tensor:
    """A 16-bit WAV file of any sample rate as a waveform `[L]` at 24 kHz."""
    return of_pcm(*soundfile.read(io.BytesIO(data), dtype="int16"))


def to_pcm(waveform: Tensor, sample_rate: int) -> NDArray[np.int16]:
    """Waveform `[L]` at 24 kHz as 16-bit samples at `sample_rate`."""
    x = resample(waveform, SAMPLE_RATE, sample_rate).numpy(force=True)
    return np.clip(np.round(x * 32768), -32768, 32767).astype("<i2")


def of_pcm(samples: NDArray[np.int16], sample_rate: int) -> Tensor:
    """16-bit samples at `sample_rate` as a waveform `[L]` at 24 kHz."""
    return resample(torch.from_numpy(samples.astype(np.float32) / 32768), sample_rate, SAMPLE_RATE)


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Waveform `[L]` at another rate in Hz (soxr VHQ)."""
    if from_rate == to_rate:
        return waveform
    return torch.from_numpy(soxr.resample(waveform.numpy(force=True), from_rate, to_rate, quality="VHQ"))
