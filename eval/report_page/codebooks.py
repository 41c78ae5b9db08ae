"""How much of its codebooks a system uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Codebook:
    """One codebook over all recordings."""

    size: int
    used: int  # entries that occur
    entropy: float  # in bits, of the entries' frequencies
    perplexity: float  # 2^entropy: so many entries used equally often would say as much


@dataclass(frozen=True)
class Usage:
    """The codebooks of a system, and the number of frames that was counted: none can use more entries."""

    frames: int
    codebooks: list[Codebook]


def read_codes(path: Path, sizes: Sequence[int]) -> NDArray[np.integer]:
    """Codes `[K, T]` of codebooks of these sizes.

    Raises:
        ValueError: the file is damaged, of another shape, or has codes out of range; the message names it.
    """
    try:
        codes = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); remove it and run python -m eval again") from error
    if codes.ndim != 2 or len(codes) != len(sizes) or codes.dtype.kind not in "iu":
        raise ValueError(f"{path}: {codes.dtype} {codes.shape}; expected integer codes of {len(sizes)} codebooks")
    if np.any(codes < 0) or np.any(codes >= np.asarray(sizes)[:, None]):
        raise ValueError(f"{path}: codes from {codes.min()} to {codes.max()} are not all in the codebooks")
    return codes


def usage(codes: Iterable[NDArray[np.integer]], sizes: Sequence[int]) -> Usage:
    """Count entries over at least one recording's codes `[K, T]`; see `read_codes`."""
    joint = np.concatenate(list(codes), axis=1)
    return Usage(joint.shape[1], [_codebook(row, size) for row, size in zip(joint, sizes, strict=True)])


def _codebook(codes: NDArray[np.integer], size: int) -> Codebook:
    counts = np.bincount(codes)
    p = counts[counts > 0] / len(codes)
    entropy = float(-(p * np.log2(p)).sum()) + 0.0  # no -0.0
    return Codebook(size, len(p), entropy, 2.0**entropy)
