"""How far codes depend on how a recording is cut: into chunks as it streams, and by where it starts.

`python -m eval.stability MODEL... --testset RECORDINGS` prints a table.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from codec.audio.io import read_audio
from codec.tokenizer import Tokenizer, load
from eval.tables import table
from eval.testsets import read_testset

WARM_UP_S = 1.5  # the default encoder's latents depend on the last 1.2 s
CHUNKS_MS = (20, 80, 1000)
SHIFTS = (1, 10, 1 / 2, 1 / 4, 1 / 8)  # frames


@dataclass(frozen=True)
class Stability:
    """Shares of codes that stay as they are, `[K]` float64 in [0, 1] for each codebook."""

    streamed: dict[int, Tensor]  # by samples in a chunk: offline beside streaming
    shifted: dict[int, Tensor]  # by samples cut from the start: whole recording beside what is left


def stability(
    tokenizer: Tokenizer, waveforms: Sequence[Tensor], chunk_sizes: Sequence[int], shifts: Sequence[int]
) -> Stability:
    """Encode recordings whole, in chunks and with a later start, and count codes that agree.

    When a recording starts n samples later, frame t of what is left is held against frame
    t + n / hop of the whole recording, rounded to the nearest (halves up), without the frames of the
    first `WARM_UP_S`, in which the encoder still sees what it lacks. Where n is a whole number of
    frames, both hold the same samples and codes of a causal codec are to stay. Otherwise they lie up to
    half a frame apart, and shares tell how much codes depend on where frames happen to begin.

    Args:
        tokenizer: the codec.
        waveforms: recordings `[L]` at the codec's sample rate.
        chunk_sizes: of streams, in samples.
        shifts: samples to cut from the start.

    Raises:
        ValueError: a chunk size or shift below 1, or no recording is long enough for a shift.
    """
    if min((*chunk_sizes, *shifts), default=1) < 1:
        raise ValueError(f"chunk_sizes = {chunk_sizes}, shifts = {shifts}: expected samples, at least 1")
    c = tokenizer.config
    warm_up = math.ceil(WARM_UP_S * c.frame_rate)
    pairs: dict[tuple[str, int], list[tuple[Tensor, Tensor]]] = {}
    for waveform in tqdm(waveforms, unit="file", disable=None, delay=2):
        whole = _encode(tokenizer, waveform)
        for size in chunk_sizes:
            pairs.setdefault(("chunk", size), []).append((whole, _stream(tokenizer, waveform, size)))
        for n in shifts:
            late = _encode(tokenizer, waveform[n:]) if len(waveform) > n else whole[:, :0]
            same = whole[:, math.floor(n / c.hop_length + 0.5) :]
            n_frames = min(late.shape[1], same.shape[1])
            pairs.setdefault(("shift", n), []).append((late[:, warm_up:n_frames], same[:, warm_up:n_frames]))
    shares = {key: _agreement(found) for key, found in pairs.items()}
    if short := [n for (_, n), share in shares.items() if share is None]:
        raise ValueError(f"waveforms: none is longer than {WARM_UP_S} s after {short[0]} samples are cut")
    return Stability({n: shares["chunk", n] for n in chunk_sizes}, {n: shares["shift", n] for n in shifts})
