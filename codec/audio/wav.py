"""WAV for pipes: a header for samples of unknown number."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

PCM = np.dtype("<i2")  # samples in pipes
_UNKNOWN = 0xFFFFFFFF  # length that means "until the end"


def stream_header(sample_rate: int, comment: str = "") -> bytes:
    """Make the header for 16-bit little-endian mono samples of any number.

    Args:
        sample_rate: in Hz.
        comment: for the metadata, if any, as in `codec.audio.io.write_audio`.
    """
    layout = struct.pack("<HHIIHH", 1, 1, sample_rate, 2 * sample_rate, 2, 16)  # PCM, mono, 2 bytes a sample
    header = struct.pack("<4sI4s", b"RIFF", _UNKNOWN, b"WAVE") + _chunk(b"fmt ", layout)
    if comment:
        header += _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", comment.encode() + b"\0"))
    return header + struct.pack("<4sI", b"data", _UNKNOWN)


def pcm_bytes(waveform: torch.Tensor) -> bytes:
    """Samples `[L]`, limited to [-1, 1], as `PCM`."""
    return (waveform.clamp(-1, 1) * 32767).round().numpy(force=True).astype(PCM).tobytes()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", name, len(content)) + content + bytes(len(content) % 2)
