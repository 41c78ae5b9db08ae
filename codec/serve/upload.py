"""Uploaded recordings become samples in a child process, which may take only so much time and memory."""

from __future__ import annotations

import io
import multiprocessing
import resource
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from codec.audio.error import AudioError
from codec.audio.io import read_audio, read_comment

_OK, _FAILED = b"+", b"-"  # how an answer of the child begins


@dataclass(frozen=True)
class UploadLimits:
    """What one recording may cost."""

    work_seconds: float = 20.0  # of reading it
    memory: int = 2**30  # bytes, beside those of the interpreter
    audio_seconds: float = 600.0  # of sound


class Upload(NamedTuple):
    """A recording."""

    samples: Tensor  # [L] float32, mono
    comment: str  # of its metadata


def read_upload(content: bytes, sample_rate: int, limits: UploadLimits | None = None) -> Upload:
    """A recording in the bytes of a file, at `sample_rate`.

    Raises:
        AudioError: it cannot be read, or not within the limits.
    """
    limits = limits or UploadLimits()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # so that a child need not load torch
    ours, theirs = context.Pipe()
    child = context.Process(target=_read, args=(theirs, sample_rate, limits), daemon=True)
    child.start()
    theirs.close()
    try:
        ours.send_bytes(content)
        if not ours.poll(limits.work_seconds):
            raise AudioError(f"upload: not read within {limits.work_seconds:g} s; send less, or as .wav or .flac")
        answer = ours.recv_bytes()
    except (EOFError, OSError) as error:
        raise AudioError("upload: its reader failed; it is damaged, or too large for the memory it may take") from error
    finally:
        ours.close()
        child.kill()
        child.join()
    if answer[:1] != _OK:
        raise AudioError(answer[1:].decode())
    comment, samples = answer[1:].split(b"\0", 1)
    return Upload(torch.from_numpy(np.frombuffer(samples, np.float32).copy()), comment.decode())


def _read(pipe: Connection, sample_rate: int, limits: UploadLimits) -> None:
    """In the child: bytes in, samples or the reason against them out; nothing is pickled on its way back."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        bound = pages * resource.getpagesize() + limits.memory
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    content = pipe.recv_bytes()
    try:
        samples = read_audio(io.BytesIO(content), None, sample_rate, "upload")
        comment = read_comment(io.BytesIO(content)).replace("\0", "")
        if len(samples) > limits.audio_seconds * sample_rate:
            raise AudioError(f"upload: {len(samples) / sample_rate:.0f} s; send at most {limits.audio_seconds:g} s")
        pipe.send_bytes(_OK + comment.encode() + b"\0" + samples.numpy().tobytes())
    except AudioError as error:
        pipe.send_bytes(_FAILED + str(error).encode())
