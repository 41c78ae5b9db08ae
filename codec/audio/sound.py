"""The reader of recordings, for encoding and training: reads to the actual end or raises."""

from __future__ import annotations

import mmap
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from numbers import Real
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.audio import flac, mp3, ogg, riff
from codec.audio.error import AudioError
from codec.audio.pieces import Layout, Pieces, whole_file

MAX_LEVEL = 32.0  # 30 dB above full scale: unscaled integers, not a recording
CANCELLED = 1e-4  # power of the mean of channels over their own, -40 dB: opposite polarity
RATES = 100, 10_000_000  # Hz; range of plausible sample rates
_UNKNOWN_LENGTH = 2**63 - 1  # in libsndfile
_PATHS_REMEMBERED = 2**14
# Message of libsndfile about missing samples, in formats that are not parsed here.
_CUT = re.compile(r"^\s*(SSND|Data Size|riff)\b.*\(should be", re.MULTILINE)
_FOREIGN = {  # formats that libsndfile cannot read, by their first bytes
    rb"....ftyp": "an MP4 container (.m4a, .mp4, .mov)",
    rb"\x1aE\xdf\xa3": "a Matroska container (.webm, .mkv)",
    rb"RIFF....AVI ": "an AVI container",
    rb"0&\xb2u": "an ASF container (.wma)",
    rb"\xff[\xf0\xf1\xf8\xf9]": "AAC",
    rb"#!AMR": "AMR",
}


class Sound:
    """An open recording, of one or more parts: mono float32 samples, the mean over channels."""

    def __init__(self, parts: list[soundfile.SoundFile], start: int = 0, stop: int | None = None):
        n_samples = sum(part.frames for part in parts)
        self._parts, self._start = parts, start
        self.sample_rate: int = parts[0].samplerate  # Hz
        self.n_samples = max(0, min(n_samples, n_samples if stop is None else stop) - start)
        self.is_float = any(part.subtype in ("FLOAT", "DOUBLE") for part in parts)  # samples may be NaN or infinite

    def cut(self, start: int, stop: int) -> Sound:
        """The samples from `start` to `stop`, or to the end if that is earlier, as a sound."""
        return Sound(self._parts, start, stop)

    def read(self, start: int = 0, length: int | None = None) -> NDArray[np.float32]:
        """Read samples `[length]` from `start` on; all unless given.

        Raises:
            AudioError: samples are missing, not finite or out of range.
        """
        stop = self._start + (self.n_samples if length is None else min(start + length, self.n_samples))
        start += self._start
        pieces, first = [np.zeros(0, np.float32)], 0
        for part in self._parts:
            low, high = max(start, first), min(stop, first + part.frames)
            if low < high:
                pieces.append(_read(part, low - first, high - low))
            first += part.frames
        mono = pieces[1] if len(pieces) == 2 else np.concatenate(pieces)
        check_samples(torch.from_numpy(mono), start)
        return mono


@contextmanager
def open_sound(source: str | os.PathLike[str] | memoryview, name: str | None = None) -> Iterator[Sound]:
    """Open a recording from a file or its bytes; warns of wrong headers.

    Args:
        source: a path, or bytes.
        name: for messages; the path unless given.

    Raises:
        AudioError: missing, unreadable, empty or truncated; the message has the name, as does that of a `Sound.read`
            inside the `with`.
    """
    name = str(source) if name is None else name
    try:
        with ExitStack() as stack:
            parts = [stack.enter_context(soundfile.SoundFile(file)) for file in _files(source, name)]
            sound = Sound(parts)
            _check(parts, sound)
            yield sound
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        reason = getattr(error, "error_string", error)  # of libsndfile, without the name
        raise AudioError(f"{name}: cannot be read as audio ({reason}); it is damaged or not an audio file") from error
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from error


def check_rate(sample_rate: object) -> float:
    """Check a sample rate.

    Raises:
        AudioError: not a number, or out of range.
    """
    is_number = isinstance(sample_rate, Real) and not isinstance(sample_rate, bool)
    low, high = RATES
    if not is_number or not low <= float(sample_rate) <= high:  # type: ignore[arg-type]  # NaN fails
        raise AudioError(f"sample_rate = {sample_rate!r}: expected a number of Hz from {low} to {high}, such as 16000")
    return sample_rate  # type: ignore[return-value]


def check_samples(samples: Tensor, start: int = 0) -> None:
    """Check float samples `[L]`; `start` is the number of the first.

    Raises:
        AudioError: NaN, infinite, or unscaled integers.
    """
    if not len(samples):
        return
    peak = float(samples.abs().max())
    if peak <= MAX_LEVEL:  # NaN fails
        return
    bad = (~torch.isfinite(samples)).nonzero()
    if len(bad):
        raise AudioError(f"sample {start + int(bad[0])} is NaN or infinite; clean the recording first")
    raise AudioError(f"float samples reach {peak:g}, expected about [-1, 1]; divide samples of 16 bits by 32768")


def mix_down(channels: Tensor) -> Tensor:
    """Mix channels `[C, L]` to their mean `[L]`; takes the first one if opposite polarities cancel."""
    if len(channels) == 1:
        return channels[0]
    mono = channels.mean(0)
    loudness = channels.square().mean()
    if bool(mono.square().mean() < CANCELLED * loudness):
        warnings.warn("channels of opposite polarity cancel each other: the first one is used", stacklevel=2)
        return channels[0]
    return mono


def native_path(path: str | os.PathLike[str]) -> str | bytes:
    """Convert a path for soundfile; names need not be UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def map_file(path: Path) -> memoryview:
    """Map the bytes of a file into memory."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _files(source: str | os.PathLike[str] | memoryview, name: str) -> list[str | bytes | Pieces]:
    """List what soundfile should open for a recording."""
    if isinstance(source, memoryview):
        layout, content = _layout(source), source
    else:
        path = Path(source)
        if not os.path.isfile(path):
            raise AudioError("no such file")
        stat = path.stat()
        layout = _layout_of(path, stat.st_size, stat.st_mtime_ns)
    if layout.note:
        warnings.warn(f"{name}: {layout.note}", stacklevel=4)
    if not isinstance(source, memoryview):
        if layout.parts == [[range(stat.st_size)]]:  # libsndfile opens paths itself, which is faster
            return [native_path(path)]
        content = map_file(path)
    return [Pieces(content, pieces) for pieces in layout.parts]


@lru_cache(_PATHS_REMEMBERED)  # training reads the same files repeatedly
def _layout_of(path: Path, size: int, modified: int) -> Layout:
    return _layout(map_file(path) if size else memoryview(b""))


def _layout(content: memoryview) -> Layout:
    if not content:
        raise AudioError("empty; give at least one sample")
    head = bytes(content[:16])
    for start, kind in _FOREIGN.items():
        if re.match(start, head, re.DOTALL):
            raise AudioError(f"{kind} needs ffmpeg; convert it first: ffmpeg -i INPUT OUTPUT.flac")
    if head[:4] in riff.KINDS and head[8:12] == b"WAVE":
        return riff.layout(content)
    if head[:4] == b"OggS":
        return ogg.layout(content)
    if head[:4] == b"fLaC":
        return flac.layout(content)
    if re.match(rb"ID3|(?![ -~]{4})", head):  # an MP3 may start within a frame, other formats start with a name
        return mp3.layout(content)
    return whole_file(content)


def _check(parts: list[soundfile.SoundFile], sound: Sound) -> None:
    for part in parts:
        if part.frames == _UNKNOWN_LENGTH:
            raise AudioError("the header does not give the length (written to a pipe?); convert it again, to a file")
        if _CUT.search(part.extra_info):
            raise AudioError(f"the file is truncated: {part.frames} samples are there; copy it again")
        if part.samplerate != sound.sample_rate:
            rates = f"{sound.sample_rate} and {part.samplerate} Hz"
            raise AudioError(f"joined from parts of {rates}; convert each before joining")
    check_rate(sound.sample_rate)
    if not sound.n_samples:
        raise AudioError("empty; give at least one sample")


def _read(file: soundfile.SoundFile, start: int, length: int) -> NDArray[np.float32]:
    if file.tell() != start:
        file.seek(start)
    x = file.read(length, dtype="float32", always_2d=True)
    if len(x) < length:
        raise AudioError(f"the file is truncated: {start + len(x)} of {file.frames} samples are there; copy it again")
    return mix_down(torch.from_numpy(x.T)).numpy()
