"""Audio at the boundary: files and arrays of any rate, type and channel count to mono float32, and back."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.files import atomic_file

Audio = str | Path | NDArray | Tensor
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")  # of files that folders are searched for
MAX_CHANNELS = 64  # more than this is an array given as [samples, channels]
_UNKNOWN_LENGTH = 2**63 - 1  # in libsndfile
_FULL_SCALE = {torch.int16: 2.0**15, torch.int32: 2.0**31}


class AudioError(ValueError):
    """Audio that cannot be used; the message names the file or argument and what to do."""


def read_audio(audio: Audio, sample_rate: int | None, target_rate: int, name: str = "audio") -> Tensor:
    """Any audio as mono float32 samples `[L]` at `target_rate`.

    Args:
        audio: a path, or samples `[L]` or `[channels, L]`: float in about [-1, 1], int16 or int32.
        sample_rate: of the samples, in Hz; not needed for a path.
        target_rate: in Hz.
        name: what to call it in errors; a path is called by its own name.

    Raises:
        AudioError: empty, not finite, unreadable, truncated, of an unusable type or shape, or
            without a sample rate.
    """
    if isinstance(audio, str | Path):
        name = str(audio)
        audio, sample_rate = _read_file(Path(audio))
    elif sample_rate is None:
        raise AudioError(f"{name}: samples need their sample_rate in Hz")
    if sample_rate <= 0:
        raise AudioError(f"sample_rate = {sample_rate}: expected a positive number of Hz")
    mono = to_mono(audio, name)
    if not len(mono):
        raise AudioError(f"{name}: empty; give at least one sample")
    if sample_rate == target_rate:
        return mono
    resampled = soxr.resample(mono.numpy(force=True), sample_rate, target_rate, quality="VHQ")
    if not len(resampled):  # shorter than one sample at the new rate
        resampled = np.zeros(1, np.float32)
    return torch.from_numpy(resampled).to(mono.device)


def to_mono(samples: NDArray | Tensor, name: str = "audio") -> Tensor:
    """Samples `[L]` or `[channels, L]` as the mean over channels `[L]` float32, checked to be finite.

    Raises:
        AudioError: wrong type or shape, or NaN or infinite samples.
    """
    x = torch.as_tensor(np.ascontiguousarray(samples) if isinstance(samples, np.ndarray) else samples)
    if x.dtype in _FULL_SCALE:
        x = x.float() / _FULL_SCALE[x.dtype]
    elif not x.is_floating_point():
        raise AudioError(f"{name}: samples are {x.dtype}; expected float, int16 or int32")
    if x.ndim not in (1, 2) or (x.ndim == 2 and not 1 <= x.shape[0] <= MAX_CHANNELS):
        shape = tuple(x.shape)
        raise AudioError(f"{name}: shape {shape}; expected [samples] or [channels, samples], a list for a batch")
    x = x.float()
    x = x if x.ndim == 1 else x.mean(0)
    if not bool(torch.isfinite(x).all()):
        first = int((~torch.isfinite(x)).nonzero()[0])
        raise AudioError(f"{name}: sample {first} is NaN or infinite; clean the recording first")
    return x


def write_audio(path: str | Path, waveform: Tensor, sample_rate: int, comment: str = "") -> None:
    """Write mono samples `[L]`, limited to [-1, 1], in the format of `path`'s suffix; whole or not at all.

    Args:
        path: where to.
        waveform: the samples.
        sample_rate: in Hz.
        comment: for the metadata of the file, if any; a .wav file holds about 2,000 bytes.

    Raises:
        AudioError: the suffix is no format that soundfile writes, or the format does not hold the comment.
    """
    path = Path(path)
    if path.suffix[1:].upper() not in soundfile.available_formats():
        raise AudioError(f"{path}: unknown audio format {path.suffix!r}; use .wav or .flac")
    with atomic_file(path) as new:
        with soundfile.SoundFile(new, "w", sample_rate, channels=1) as file:
            if comment:
                with suppress(soundfile.SoundFileError):  # formats without comments refuse, others drop long ones
                    file.comment = comment
            file.write(waveform.float().clamp(-1, 1).numpy(force=True))
        if comment and read_comment(new) != comment:
            size = len(comment.encode())
            raise AudioError(f"{path}: the format does not hold a comment of {size} bytes; use .flac, or shorten it")


def read_comment(path: str | Path) -> str:
    """What `write_audio` left in the metadata of a file; "" if there is nothing.

    Raises:
        AudioError: unreadable as audio.
    """
    try:
        with soundfile.SoundFile(path) as file:
            return file.comment
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{path}: cannot be read as audio ({error})") from error


def _read_file(path: Path) -> tuple[NDArray, int]:
    """Samples `[channels, L]` float32 and their rate."""
    if not path.is_file():
        raise AudioError(f"{path}: no such file")
    try:
        with soundfile.SoundFile(path) as file:
            if file.frames == _UNKNOWN_LENGTH:
                raise AudioError(f"{path}: the header does not give the length (written to a pipe?); convert it again")
            samples = file.read(dtype="float32", always_2d=True)
            is_cut = _has_cut_chunk(file.extra_info) or len(samples) < file.frames
            is_cut |= file.format == "OGG" and not _ogg_is_complete(path)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise AudioError(f"{path}: cannot be read as audio ({error}); it is damaged or no audio file") from error
    if is_cut:
        raise AudioError(f"{path}: the file is truncated ({len(samples)} samples are there); copy it again")
    return samples.T, file.samplerate


def _has_cut_chunk(log: str) -> bool:
    """Whether libsndfile found less in a chunk than its header says; a writer to a pipe says about 2 or 4 GiB."""
    sizes = re.findall(r"(\d+) \(should be", log)
    return any(int(size) < 0x7FFF0000 for size in sizes)


def _ogg_is_complete(path: Path) -> bool:
    """Whether the last page is whole and marked as the end; libsndfile reads up to a cut and keeps silent."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**17))  # a page has less than 64 KiB
        _, mark, page = file.read().rpartition(b"OggS")
    if not mark or len(page) < 23:
        return False
    flags, n_segments = page[1], page[22]
    segment_sizes = page[23 : 23 + n_segments]
    return bool(flags & 4) and len(page) >= 23 + n_segments + sum(segment_sizes)
