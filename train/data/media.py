"""Audio files and members of tar shards, addressed alike, opened and read from the middle.

A member is addressed as `shard.tar::folder/name.flac`; any other address is a path.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import ceil, gcd
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from codec.audio.error import AudioError
from codec.audio.sound import Sound, map_file, open_sound
from codec.files import find_files

SEPARATOR = ".tar::"
_MARGIN_S = 0.05  # more than the resampling filter reaches to either side


class Recording:
    """An open recording of any rate and channel count, read as mono float32 at `sample_rate`."""

    def __init__(self, sound: Sound, sample_rate: int):
        divisor = gcd(sound.sample_rate, sample_rate)
        # One block lasts `n_native` samples in the file and `n_ours` at our rate: the shortest whole numbers.
        self.n_native, self.n_ours = sound.sample_rate // divisor, sample_rate // divisor
        self.n_margin = ceil(_MARGIN_S * divisor)  # in blocks
        self.n_samples = sound.n_samples * sample_rate // sound.sample_rate
        self.native_rate = sound.sample_rate
        self.sound = sound

    def read(self, start: int, length: int) -> NDArray[np.float32]:
        """Samples `[length]` from `start` on, both counted at our rate, equal to a slice of the whole.

        Raises:
            AudioError: the samples are not all there, not finite, or no samples of a recording.
        """
        # Blocks before `start` are resampled too and cut off: a whole number of them keeps the phase.
        first = max(0, start // self.n_ours - self.n_margin) if self.is_resampled else start
        skipped = start - first * self.n_ours
        native_start = first * self.n_native
        wanted = ceil((skipped + length) / self.n_ours) + (self.n_margin if self.is_resampled else 0)
        n_native = min(wanted * self.n_native, self.sound.n_samples - native_start)
        mono = self.sound.read(native_start, n_native)
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
        AudioError: as by `codec.audio.sound.open_sound`; the message names the address. So do the errors of
            `Recording.read` inside the `with`.
    """
    with open_sound(read_bytes(address) if SEPARATOR in address else address, address) as sound:
        recording = Recording(sound, sample_rate or sound.sample_rate)
        if not recording.n_samples:
            raise AudioError("empty; give at least one sample")
        yield recording


def read_bytes(address: str) -> memoryview:
    """The bytes of a file or of a member, which are read when they are used.

    Raises:
        AudioError: there is no such file or member, or it is empty; the message names it.
    """
    path, separator, name = address.partition(SEPARATOR)
    if not separator:
        return _map(address)
    shard = path + ".tar"
    if not os.path.isfile(shard):
        raise AudioError(f"{address}: no such shard")
    members = list_members(shard)
    if name not in members:
        raise AudioError(f"{address}: {shard} has no such member")
    offset, size = members[name]
    return _map(shard)[offset : offset + size]


def list_files(source: Path) -> list[str]:
    """Sorted addresses of all files in a folder and its shards, or in one shard; hidden ones left out."""
    found: list[str] = []
    for path in find_files(source) if source.is_dir() else [source]:
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


def _map(path: str) -> memoryview:
    try:
        return map_file(Path(path))
    except (OSError, ValueError) as error:  # ValueError: it is empty
        raise AudioError(f"{path}: cannot be read ({error})") from error
