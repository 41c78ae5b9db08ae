"""Mixed radix: codes as the digits of one number, the smallest code of a fixed rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def n_bytes(sizes: Sequence[int], n_frames: int) -> int:
    """Number of bytes of `n_frames` frames."""
    return (math.prod(sizes) ** n_frames - 1).bit_length() + 7 >> 3


def pack(codes: NDArray[np.integer], sizes: Sequence[int]) -> bytes:
    """Pack codes `[K, T]` in 0 .. size - 1 to a little-endian number; its lowest digit is codebook 0 of frame 0."""
    number = 0
    for frame in codes.T[::-1].tolist():
        for code, size in zip(reversed(frame), reversed(sizes), strict=True):
            number = number * size + code
    return number.to_bytes(n_bytes(sizes, codes.shape[1]), "little")


def unpack(data: bytes, sizes: Sequence[int], n_frames: int) -> NDArray[np.int64]:
    """Unpack codes `[K, n_frames]` written by `pack`.

    Raises:
        ValueError: a number out of range.
    """
    number, codes = int.from_bytes(data, "little"), np.empty((n_frames, len(sizes)), np.int64)
    for frame in codes:
        for k, size in enumerate(sizes):
            number, frame[k] = divmod(number, size)
    if number:
        raise ValueError(f"{len(data)} bytes hold more than {n_frames} frames of {len(sizes)} codebooks")
    return codes.T
