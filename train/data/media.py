"""Audio files and members of tar shards, addressed alike, opened and read from the middle.

A member is addressed as `shard.tar::folder/name.flac`; any other address is a path.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import ceil, gcd
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from codec.audio.io import AudioError

SEPARATOR = ".tar::"
_MARGIN_S = 0.05  # more than the resampling filter reaches to either side
_UNKNOWN_LENGTH = 2**63 - 1  # in libsndfile


class Recording:
    """An open recording of any rate and channel count, read as mono float32 at `sample_rate`."""

    def __init__(self, file: soundfile.SoundFile, sample_rate: int):
        divisor = gcd(file.samplerate, sample_rate)
        # One block lasts `n_native` samples in the file and `n_ours` at our rate: the shortest whole numbers.
        self.n_native, self.n_ours = file.samplerate // divisor, sample_rate // divisor
        self.n_margin = ceil(_MARGIN_S * divisor)  # in blocks
        self.n_samples = file.frames * sample_rate // file.samplerate
        self.native_rate = file.samplerate
        self.file = file

    def read(self, start: int, length: int) -> NDArray[np.float32]:
        """Samples `[length]` from `start` on, both counted at our rate, equal to a slice of the whole.

        Raises:
            AudioError: the samples are not all there, or not finite.
        """
        # Blocks before `start` are resampled too and cut off: a whole number of them keeps the phase.
        first = max(0, start // self.n_ours - self.n_margin) if self.is_resampled else start
        skipped = start - first * self.n_ours
        native_start = first * self.n_native
        wanted = ceil((skipped + length) / self.n_ours) + (self.n_margin if self.is_resampled else 0)
        n_native = min(wanted * self.n_native, self.file.frames - native_start)
        if native_start:
            self.file.seek(native_start)
        x = self.file.read(n_native, dtype="float32", always_2d=True)
        if len(x) < n_native:
            raise AudioError(f"truncated: {len(x)} of {n_native} samples at {native_start}")
        mono = x[:, 0] if x.shape[1] == 1 else x.mean(1)
        if not np.isfinite(mono).all():
            raise AudioError("holds NaN or infinite samples")
        if self.is_resampled:
            mono = soxr.resample(mono, self.n_native, self.n_ours, quality="HQ")
        return mono[skipped : skipped + length]

    @property
    def is_resampled(self) -> bool:
        return self.n_native != self.n_ours


@contextmanager
def open_recording(address: str, sample_rate: int | None = None) -> Iterator[Recording]:
    """A recording to be read at `sample_rate` in Hz, or at its own.

    Raises:
        AudioError: missing, unreadable, empty or of unknown length; the message names the address. So do
            the errors of `Recording.read` inside the `with`.
    """
    try:
        with _open_sound(address) as file:
            if file.frames == _UNKNOWN_LENGTH:
                raise AudioError("the header does not give the length; convert it again")
            recording = Recording(file, sample_rate or file.samplerate)
            if not recording.n_samples:
                raise AudioError("empty")
            yield recording
    except (AudioError, soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise AudioError(f"{address}: {error}") from error


def open_bytes(address: str) -> BinaryIO:
    """The bytes of a file or of a member, to be read from anywhere."""
    shard, separator, name = address.partition(SEPARATOR)
    if not separator:
        return open(address, "rb")
    shard += ".tar"
    members = list_members(shard)
    if name not in members:
        raise AudioError(f"{shard} has no member {name}")
    return io.BufferedReader(_Window(shard, *members[name]), 2**16)


def list_files(source: Path) -> list[str]:
    """Sorted addresses of all files in a folder and its shards, or in one shard; hidden ones left out."""
    found: list[str] = []
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        if path.suffix == ".tar":
            found += [f"{path}::{name}" for name in sorted(list_members(str(path)))]
        else:
            found.append(str(path))
    return [address for address in found if not Path(address).name.startswith(".")]


@cache  # one index per shard and process; forked workers inherit it
def list_members(shard: str) -> dict[str, tuple[int, int]]:
    """Name -> (offset, size) in bytes of every file in an uncompressed tar."""
    try:
        with tarfile.open(shard, "r:") as tar:
            return {member.name: (member.offset_data, member.size) for member in tar if member.isfile()}
    except tarfile.TarError as error:
        raise AudioError(f"{shard}: not a whole, uncompressed tar ({error}); copy it again or unpack it") from error


@contextmanager
def _open_sound(address: str) -> Iterator[soundfile.SoundFile]:
    if SEPARATOR not in address:  # libsndfile opens paths itself, which is faster
        if not os.path.isfile(address):
            raise AudioError("no such file")
        with soundfile.SoundFile(address) as file:
            yield file
    else:
        with open_bytes(address) as raw, soundfile.SoundFile(raw) as file:
            yield file


class _Window(io.RawIOBase):
    """`size` bytes of a file from `offset` on, as a file of their own."""

    def __init__(self, path: str, offset: int, size: int):
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with the window
        self._offset, self._size, self._position = offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = (0, self._position, self._size)[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def, override]
        size = max(0, min(len(buffer), self._size - self._position))
        self._file.seek(self._offset + self._position)
        n_read = self._file.readinto(memoryview(buffer)[:size]) or 0
        self._position += n_read
        return n_read

    def close(self) -> None:
        self._file.close()
        super().close()
