"""Reading and writing of audio: files and arrays of any rate, type and channel count to mono float32, and back."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.audio.error import AudioError
from codec.audio.sound import check_rate, check_samples, mix_down, native_path, open_sound
from codec.files import atomic_file

Samples = NDArray | Tensor
Audio = str | Path | BinaryIO | Samples | tuple[Samples, float] | Mapping[str, Any]
RESAMPLING = "VHQ"  # quality in soxr of all that is encoded or trained on
MAX_CHANNELS = 64  # an array with more rows is probably [samples, channels]
_BLOCK = 2**16  # samples; libsndfile crashes on a minute or more of Ogg Vorbis at once
_FULL_SCALE = {torch.int16: 2.0**15, torch.int32: 2.0**31}
_KINDS = "a path, an open file, an array or tensor, (samples, sample_rate), or a dict of the package datasets"


def read_audio(audio: Audio, sample_rate: float | None, target_rate: int, name: str = "audio") -> Tensor:
    """Read audio as mono float32 samples `[L]` at `target_rate`.

    Args:
        audio: a path, or a file open for reading bytes; or samples `[L]` or `[channels, L]`: float in about [-1, 1],
            int16 or int32; or a pair of samples and their rate; or an item of a column of the package `datasets`.
        sample_rate: of bare samples, in Hz.
        target_rate: in Hz.
        name: for errors, unless it is a path.

    Raises:
        AudioError: empty, not finite, unreadable, truncated, of an unusable type or shape, or
            without a sample rate.
    """
    source, sample_rate = unpack(audio, sample_rate)
    if isinstance(source, str | os.PathLike) or hasattr(source, "read"):
        mono, sample_rate = _read_file(source, name)
    else:
        samples = _to_tensor(source, name)
        if sample_rate is None:
            raise AudioError(f"{name}: samples need their sample_rate in Hz")
        sample_rate = check_rate(sample_rate)
        mono = to_mono(samples, name)
        if not len(mono):
            raise AudioError(f"{name}: empty; give at least one sample")
    if sample_rate == target_rate:
        return mono
    resampled = soxr.resample(mono.numpy(force=True), sample_rate, target_rate, quality=RESAMPLING)
    if not len(resampled):  # shorter than one sample at the new rate
        resampled = np.zeros(1, np.float32)
    return torch.from_numpy(resampled).to(mono.device)


def as_list(audio: Audio | Sequence[Audio]) -> list[Audio]:
    """One recording or several as a list."""
    is_several = isinstance(audio, list | tuple) and not is_pair(audio)
    return list(audio) if is_several else [audio]  # type: ignore[arg-type, list-item]


def is_pair(audio: object) -> bool:
    """Whether this is one recording as (samples, sample_rate), not several recordings."""
    return isinstance(audio, tuple) and len(audio) == 2 and isinstance(audio[1], Real) and np.ndim(audio[0]) > 0


def to_mono(samples: Audio, name: str = "audio") -> Tensor:
    """Convert samples `[L]` or `[channels, L]` to their mean over channels `[L]` float32, and check them.

    Raises:
        AudioError: no array or tensor, wrong type or shape, NaN or infinite samples, or unscaled integers as floats.
    """
    x = _to_tensor(samples, name)
    if x.dtype in _FULL_SCALE:
        x = x.float() / _FULL_SCALE[x.dtype]
    elif not x.is_floating_point():
        raise AudioError(f"{name}: samples are {x.dtype}; expected float, int16 or int32")
    if x.ndim not in (1, 2) or (x.ndim == 2 and not 1 <= x.shape[0] <= MAX_CHANNELS):
        shape = tuple(x.shape)
        raise AudioError(f"{name}: shape {shape}; expected [samples] or [channels, samples], a list for a batch")
    if x.ndim == 2 and len(x) > 2:
        warnings.warn(
            f"{name}: {len(x)} rows are averaged as channels of one recording; give a batch as a list of recordings",
            stacklevel=3,
        )
    x = x.float()
    x = x if x.ndim == 1 else mix_down(x)
    try:
        check_samples(x)
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from error
    return x


def write_audio(path: str | Path, waveform: Tensor, sample_rate: int, comment: str = "") -> None:
    """Write mono samples `[L]`, limited to [-1, 1], in the format of `path`'s suffix.

    Args:
        path: of the file.
        waveform: the samples.
        sample_rate: in Hz.
        comment: for the metadata of the file, if any; a .wav file holds about 2,000 bytes.

    Raises:
        AudioError: the suffix is not a format of soundfile, or the format cannot hold the comment.
    """
    path = Path(path)
    format = path.suffix[1:].upper()
    if format not in soundfile.available_formats():
        raise AudioError(f"{path}: unknown audio format {path.suffix!r}; use .wav or .flac")
    with atomic_file(path) as new:
        with soundfile.SoundFile(native_path(new), "w", sample_rate, channels=1, format=format) as file:
            if comment:
                with suppress(soundfile.SoundFileError):  # formats without comments raise, others drop long ones
                    file.comment = comment
            for block in waveform.float().clamp(-1, 1).split(_BLOCK):
                file.write(block.numpy(force=True))
        if comment and read_comment(new) != comment:
            size = len(comment.encode())
            raise AudioError(f"{path}: the format cannot hold a comment of {size} bytes; use .flac or shorten it")


def read_comment(path: str | Path | io.BytesIO) -> str:
    """Read the comment in the metadata of a file, or of one open for reading bytes; "" if there is none.

    Raises:
        AudioError: unreadable as audio.
    """
    try:
        with soundfile.SoundFile(path if isinstance(path, io.BytesIO) else native_path(path)) as file:
            return file.comment
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{path}: cannot be read as audio ({error})") from error


def unpack(audio: Audio, sample_rate: float | None) -> tuple[Any, Any]:
    """Split audio into its source (a path, an open file or an array) and its sample rate, if known."""
    if isinstance(audio, tuple) and is_pair(audio):
        return audio
    if not isinstance(audio, Mapping):
        return audio, sample_rate
    if audio.get("array") is not None and audio.get("sampling_rate") is not None:
        return np.asarray(audio["array"]), audio["sampling_rate"]
    if audio.get("bytes") is not None:  # an undecoded file
        return io.BytesIO(audio["bytes"]), None
    return audio.get("path", audio), None


def read_content(file: BinaryIO, name: str) -> bytes:
    """Read all bytes of an open file.

    Raises:
        AudioError: it is open for text; the message has the name.
    """
    content = file.read()
    if not isinstance(content, bytes):
        raise AudioError(f"{name}: gives {type(content).__name__}; open the file for bytes, as open(path, 'rb')")
    return content


def _read_file(file: str | Path | BinaryIO, name: str) -> tuple[Tensor, int]:
    """Read samples `[L]` and their rate."""
    if isinstance(file, str | os.PathLike):
        opened = open_sound(file)
    else:
        opened = open_sound(memoryview(read_content(file, name)), name)
    with opened as sound:
        return torch.from_numpy(sound.read()), sound.sample_rate


def _to_tensor(samples: Audio, name: str) -> Tensor:
    """Convert to a tensor; copies foreign byte orders, negative strides and read-only memory, which torch rejects."""
    if isinstance(samples, Tensor):
        return samples
    if not isinstance(samples, np.ndarray | np.generic):
        raise AudioError(f"{name}: {type(samples).__name__}; expected {_KINDS}")
    x = np.asarray(samples)
    x = x.astype(x.dtype.newbyteorder("="), order="C", copy=False)
    return torch.from_numpy(x if x.flags.writeable else x.copy())
