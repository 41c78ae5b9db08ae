"""The one reader of recordings, for encoding and for training: to their real end, or not at all."""

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
from codec.audio.pieces import Layout, Pieces, as_it_is

MAX_LEVEL = 32.0  # 30 dB above full scale: no recording, but integers that were turned into floats
CANCELLED = 1e-4  # share of the power, -40 dB, that is left of channels of opposite polarity
RATES = 100, 10_000_000  # Hz; beyond these it is no sample rate, and resampling would take for ever
_UNKNOWN_LENGTH = 2**63 - 1  # in libsndfile
_PATHS_REMEMBERED = 2**14
# What libsndfile says of samples that are fewer than their header says, in formats that are not looked into here.
_CUT = re.compile(r"^\s*(SSND|Data Size|riff)\b.*\(should be", re.MULTILINE)
_FOREIGN = {  # what libsndfile does not read, by how it begins
    rb"....ftyp": "an MP4 container (.m4a, .mp4, .mov)",
    rb"\x1aE\xdf\xa3": "a Matroska container (.webm, .mkv)",
    rb"RIFF....AVI ": "an AVI container",
    rb"0&\xb2u": "an ASF container (.wma)",
    rb"\xff[\xf0\xf1\xf8\xf9]": "AAC",
    rb"#!AMR": "AMR",
}


class Sound:
    """An open recording, of one or more parts: mono float32 samples, the mean over channels."""

    def __init__(self, parts: list[soundfile.SoundFile]):
        self._parts = parts
        self.sample_rate: int = parts[0].samplerate  # Hz
        self.n_samples = sum(part.frames for part in parts)
        self.is_float = any(part.subtype in ("FLOAT", "DOUBLE") for part in parts)  # samples may be NaN or infinite

    def read(self, start: int = 0, length: int | None = None) -> NDArray[np.float32]:
        """Samples `[length]` from `start` on; all that follow unless given.

        Raises:
            AudioError: they are not all there, not finite, or no samples of a recording.
        """
        stop = self.n_samples if length is None else start + length
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
    """A recording in a file, or in the bytes of one.

    What its header says wrongly, though all samples can be read, is said in a warning.

    Args:
        source: a path, or bytes.
        name: what to call it in messages; a path unless given.

    Raises:
        AudioError: missing, unreadable, empty or truncated; the message has the name. So have the errors of
            `Sound.read` inside the `with`.
    """
    name = str(source) if name is None else name
    try:
        with ExitStack() as stack:
            parts = [stack.enter_context(soundfile.SoundFile(file)) for file in _files(source, name)]
            sound = Sound(parts)
            _check(parts, sound)
            yield sound
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        reason = getattr(error, "error_string", error)  # of libsndfile, without what was opened
        raise AudioError(f"{name}: cannot be read as audio ({reason}); it is damaged or no audio file") from error
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from error


def check_rate(sample_rate: object) -> float:
    """A sample rate, if it may be one.

    Raises:
        AudioError: no number, or no rate of a recording.
    """
    is_number = isinstance(sample_rate, Real) and not isinstance(sample_rate, bool)
    low, high = RATES
    if not is_number or not low <= float(sample_rate) <= high:  # type: ignore[arg-type]  # NaN is not in between
        raise AudioError(f"sample_rate = {sample_rate!r}: expected a number of Hz from {low} to {high}, such as 16000")
    return sample_rate  # type: ignore[return-value]


def check_samples(samples: Tensor, start: int = 0) -> None:
    """See whether float samples `[L]`, of which the first is number `start`, may be those of a recording.

    Raises:
        AudioError: NaN, infinite, or integers that were turned into floats.
    """
    if not len(samples):
        return
    peak = float(samples.abs().max())
    if peak <= MAX_LEVEL:  # NaN is not
        return
    bad = (~torch.isfinite(samples)).nonzero()
    if len(bad):
        raise AudioError(f"sample {start + int(bad[0])} is NaN or infinite; clean the recording first")
    raise AudioError(f"float samples reach {peak:g}, expected about [-1, 1]; divide samples of 16 bits by 32768")


def mix_down(channels: Tensor) -> Tensor:
    """Channels `[C, L]` as their mean `[L]`, or as the first one where they cancel each other: of opposite polarity."""
    if len(channels) == 1:
        return channels[0]
    mono = channels.mean(0)
    loudness = channels.square().mean()
    if bool(mono.square().mean() < CANCELLED * loudness):
        warnings.warn("channels of opposite polarity, which cancel each other: the first one is taken", stacklevel=2)
        return channels[0]
    return mono


def native_path(path: str | os.PathLike[str]) -> str | bytes:
    """A path as soundfile takes it, whatever characters are in it: a name need not be UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def map_file(path: Path) -> memoryview:
    """The bytes of a file, which are read when they are used."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _files(source: str | os.PathLike[str] | memoryview, name: str) -> list[str | bytes | Pieces]:
    """What to open for a recording, in the words of soundfile."""
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


@lru_cache(_PATHS_REMEMBERED)  # crops are taken from the same files again and again
def _layout_of(path: Path, size: int, modified: int) -> Layout:
    return _layout(map_file(path) if size else memoryview(b""))


def _layout(content: memoryview) -> Layout:
    if not content:
        raise AudioError("empty; give at least one sample")
    head = bytes(content[:16])
    for start, kind in _FOREIGN.items():
        if re.match(start, head, re.DOTALL):
            raise AudioError(f"{kind}, which takes ffmpeg to read; convert it first: ffmpeg -i INPUT OUTPUT.flac")
    if head[:4] in riff.KINDS and head[8:12] == b"WAVE":
        return riff.layout(content)
    if head[:4] == b"OggS":
        return ogg.layout(content)
    if head[:4] == b"fLaC":
        return flac.layout(content)
    if re.match(rb"ID3|(?![ -~]{4})", head):  # an MP3 may begin within a frame, which has no name as other formats have
        return mp3.layout(content)
    return as_it_is(content)


def _check(parts: list[soundfile.SoundFile], sound: Sound) -> None:
    for part in parts:
        if part.frames == _UNKNOWN_LENGTH:
            raise AudioError("the header does not give the length (written to a pipe?); convert it again, to a file")
        if _CUT.search(part.extra_info):
            raise AudioError(f"the file is truncated: {part.frames} samples are there; copy it again")
        if part.samplerate != sound.sample_rate:
            rates = f"{sound.sample_rate} and {part.samplerate} Hz"
            raise AudioError(f"joined of parts of {rates}; convert each, and join them then")
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
