"""Encode recordings in batches of similar length, while threads read those that come next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from codec.audio.error import AudioError
from codec.tokenizer import Tokenizer

N_THREADS = 8  # that read while the codec encodes
WINDOW = 8  # batches of recordings, in which those of similar length are encoded together


class Clip(Protocol):
    """What is encoded."""

    @property
    def waveform(self) -> Tensor:
        """`[L]` float32 at the codec's rate."""
        ...


In = TypeVar("In")
Out = TypeVar("Out")
C = TypeVar("C", bound=Clip)


@dataclass
class Window(Generic[In, C]):
    """Recordings that were read together."""

    items: list[In]
    clips: list[tuple[C, Tensor]]  # with their codes [K, T] int16, in the order of the items
    errors: list[tuple[In, AudioError]]


def encode_windows(
    items: Iterable[In],
    seconds: Callable[[In], float],
    read: Callable[[In], Sequence[C]],
    tokenizer: Tokenizer,
    batch_seconds: float,
) -> Iterator[Window[In, C]]:
    """Read and encode items, some batches at a time.

    Args:
        seconds: the length of an item, roughly.
        read: the clips of an item, in several threads; may raise AudioError.
        batch_seconds: of audio, padding included; a longer clip is a batch of its own.
    """

    def attempt(item: In) -> Sequence[C] | AudioError:
        try:
            return read(item)
        except AudioError as error:
            return error

    batch_samples = int(batch_seconds * tokenizer.config.sample_rate)
    windows = list(split_by_size(items, seconds, WINDOW * batch_seconds))
    for window, results in zip(windows, _map_ahead(attempt, windows), strict=True):
        clips: list[C] = []
        errors: list[tuple[In, AudioError]] = []
        for item, result in zip(window, results, strict=True):
            if isinstance(result, AudioError):
                errors.append((item, result))
            else:
                clips += result
        codes = _encode([clip.waveform for clip in clips], tokenizer, batch_samples)
        yield Window(window, list(zip(clips, codes, strict=True)), errors)


def _encode(waveforms: list[Tensor], tokenizer: Tokenizer, batch_samples: int) -> list[Tensor]:
    """Encode waveforms `[L_i]` in batches of similar length to codes `[K, T_i]` int16."""
    order = sorted(range(len(waveforms)), key=lambda i: -len(waveforms[i]))
    codes: dict[int, Tensor] = {}
    while order:
        n = max(1, batch_samples // len(waveforms[order[0]]))
        batch, order = order[:n], order[n:]
        tokens = tokenizer.encode([waveforms[i] for i in batch], tokenizer.config.sample_rate)
        rows = tokens.codes.to(torch.int16).cpu()
        codes |= {i: row[:, :n_frames] for i, row, n_frames in zip(batch, rows, tokens.lengths.tolist(), strict=True)}
    return [codes[i] for i in range(len(waveforms))]


def check_int16(tokenizer: Tokenizer) -> None:
    """Check that codes fit into int16.

    Raises:
        ValueError: they do not.
    """
    if (size := max(tokenizer.config.codebook_sizes)) > 2**15:
        raise ValueError(f"codec {tokenizer.fingerprint}: {size} codes in a codebook; int16 holds {2**15}")


def split_by_size(items: Iterable[In], length: Callable[[In], float], limit: float) -> Iterator[list[In]]:
    """Split items into consecutive lists with a total length of at most `limit`, or of one item."""
    part: list[In] = []
    size = 0.0
    for item in items:
        if part and size + length(item) > limit:
            yield part
            part, size = [], 0.0
        part.append(item)
        size += length(item)
    if part:
        yield part


def _map_ahead(function: Callable[[In], Out], windows: Iterable[list[In]]) -> Iterator[list[Out]]:
    """Map items in threads, window by window; the next window is prepared meanwhile."""
    with ThreadPoolExecutor(N_THREADS) as pool:
        ahead: deque[Iterator[Out]] = deque()
        for window in windows:
            ahead.append(pool.map(function, window))
            if len(ahead) == 2:
                yield list(ahead.popleft())
        yield from map(list, ahead)
