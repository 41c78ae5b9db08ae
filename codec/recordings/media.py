"""Random access to audio files, to members of tar shards, and to segments of either.

The address of a member is `shard.tar::folder/name.flac`; any other address is a path. At the end of both, `#t=1.5,4`
is the segment from 1.5 to 4 seconds, as in W3C Media Fragments; it ends with the recording at the latest.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import ceil, gcd
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from torch import Tensor

from codec.audio.error import AudioError
from codec.audio.io import RESAMPLING, read_audio
from codec.audio.sound import Sound, map_file, open_sound
from codec.files import find_files

SEPARATOR = ".tar::"
_SEGMENT = re.compile(r"#t=(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)$")  # seconds
_MARGIN_S = 0.05  # longer than one side of the resampling filter


class Recording:
    """An open recording of any rate and channel count, read as mono float32 at `sample_rate`."""

    def __init__(self, sound: Sound, sample_rate: int):
        divisor = gcd(sound.sample_rate, sample_rate)
        # A block is the shortest time with whole samples at both rates: `n_native` in the file, `n_ours` at ours.
        self.n_native, self.n_ours = sound.sample_rate // divisor, sample_rate // divisor
        self.n_margin = ceil(_MARGIN_S * divisor)  # in blocks
        self.n_samples = sound.n_samples * sample_rate // sound.sample_rate
        self.native_rate = sound.sample_rate
        self.sound = sound

    def read(self, start: int, length: int) -> NDArray[np.float32]:
        """Read samples `[length]` from `start` on, both at `sample_rate`; equals a slice of the whole recording.

        Raises:
            AudioError: samples are missing, not finite or out of range.
        """
        # Resample some blocks before `start` too, then cut them off: whole blocks keep the phase.
        first = max(0, start // self.n_ours - self.n_margin) if self.is_resampled else start
        skipped = start - first * self.n_ours
        native_start = first * self.n_native
        n_blocks = ceil((skipped + length) / self.n_ours) + (self.n_margin if self.is_resampled else 0)
        n_native = min(n_blocks * self.n_native, self.sound.n_samples - native_start)
        mono = self.sound.read(native_start, n_native)
        if self.is_resampled:
            mono = soxr.resample(mono, self.n_native, self.n_ours, quality=RESAMPLING)
        return mono[skipped : skipped + length]

    @property
    def is_resampled(self) -> bool:
        return self.n_native != self.n_ours


@contextmanager
def open_recording(address: str, sample_rate: int | None = None) -> Iterator[Recording]:
    """Open a recording, to read at `sample_rate` in Hz or at its own rate.

    Raises:
        AudioError: as `codec.audio.sound.open_sound`; the message names the address, as does that of a
            `Recording.read` inside the `with`.
    """
    found = _SEGMENT.search(address)
    file = address[: found.start()] if found else address
    with open_sound(read_bytes(file) if SEPARATOR in file else file, address) as sound:
        if found:
            start, stop = (round(float(seconds) * sound.sample_rate) for seconds in found.groups())
            sound = sound.cut(start, stop)
        recording = Recording(sound, sample_rate or sound.sample_rate)
        if not recording.n_samples:
            raise AudioError("empty; give at least one sample")
        yield recording


def read_recording(address: str, sample_rate: int) -> Tensor:
    """Read a whole recording as mono float32 samples `[L]`, equal to `codec.audio.io.read_audio` of a file.

    Raises:
        AudioError: as `open_recording`.
    """
    with open_recording(address) as recording:
        return read_audio(recording.read(0, recording.n_samples), recording.native_rate, sample_rate)


def segment(address: str, start_s: float, duration_s: float) -> str:
    """The address of a segment of a recording."""
    start, stop = (f"{seconds:.6f}".rstrip("0").rstrip(".") for seconds in (start_s, start_s + duration_s))
    return f"{address}#t={start},{stop}"


def read_bytes(address: str) -> memoryview:
    """Map the bytes of a file or member into memory.

    Raises:
        AudioError: no such file or member, or an empty one; the message names it.
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
    """List the addresses of all files in a folder and its shards, or in one shard, sorted, without hidden ones."""
    found: list[str] = []
    for path in find_files(source) if source.is_dir() else [source]:
        if path.suffix == ".tar":
            found += [f"{path}::{name}" for name in sorted(list_members(str(path)))]
        else:
            found.append(str(path))
    return [address for address in found if not Path(address).name.startswith(".")]


@cache  # forked workers inherit the index of a shard
def list_members(shard: str) -> dict[str, tuple[int, int]]:
    """Map each file in an uncompressed tar to its (offset, size) in bytes."""
    try:
        with tarfile.open(shard, "r:") as tar:
            return {member.name: (member.offset_data, member.size) for member in tar if member.isfile()}
    except tarfile.TarError as error:
        raise AudioError(f"{shard}: not a whole, uncompressed tar ({error}); copy it again or unpack it") from error


def _map(path: str) -> memoryview:
    try:
        return map_file(Path(path))
    except (OSError, ValueError) as error:  # ValueError: empty
        raise AudioError(f"{path}: cannot be read ({error})") from error
