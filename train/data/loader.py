"""Endless batches from any start, the same for any number of workers; and validation clips."""

from __future__ import annotations

import atexit
import re
import signal
import warnings
import weakref
from collections.abc import Generator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from codec.recordings.manifest import read_manifest
from codec.recordings.media import open_recording
from codec.settings import require
from train.data.sources import EndlessDataset

B = TypeVar("B", covariant=True)
_PREFETCH = 4  # batches per worker
_GRACE_S = 120
_DEATH = re.compile("exited unexpectedly|killed by signal")  # in messages of torch


def make_loader(
    dataset: EndlessDataset[B],
    batch_size: int,
    start_batch: int,
    rank: int = 0,
    world_size: int = 1,
    num_workers: int = 0,
) -> Generator[B, None, None]:
    """Iterate over this rank's share of the batches from number `start_batch` on, without end.

    Batch n holds items `n * batch_size` to `(n + 1) * batch_size - 1`, split into `world_size` consecutive shares.
    Closing or deleting the iterator ends its workers.

    Raises:
        ValueError: `batch_size` is no multiple of `world_size`, or `rank` or `start_batch` is out of range.
        RuntimeError: from the iterator, if a worker died.
    """
    check_shares(batch_size, world_size)
    require(0 <= rank < world_size, "rank", rank, f"0 to {world_size - 1}")
    require(start_batch >= 0, "start_batch", start_batch, "0 or more")
    share = batch_size // world_size
    firsts = count(start_batch * batch_size + rank * share, batch_size)  # items with which this rank's shares begin
    loader: DataLoader[Any] = DataLoader(
        dataset,  # type: ignore[arg-type]  # only __getitem__ is used
        batch_sampler=(list(range(first, first + share)) for first in firsts),  # type: ignore[arg-type]
        collate_fn=dataset.collate,
        num_workers=num_workers,
        prefetch_factor=_PREFETCH if num_workers else None,
        worker_init_fn=_start_worker,
        pin_memory=torch.cuda.is_available(),
    )
    batches = _iterate(loader)
    atexit.register(_close, weakref.ref(batches))  # before multiprocessing waits for the workers
    return batches


def check_shares(batch_size: int, world_size: int) -> None:
    """Check that the processes can share a batch equally.

    Raises:
        ValueError: they cannot.
    """
    good = batch_size >= 1 and batch_size % world_size == 0
    require(good, "data.batch_size", batch_size, f"a multiple of the {world_size} processes")


class ValidClip(NamedTuple):
    name: str
    waveform: Tensor  # [L]
    text: str | None  # transcript, if the clip is the whole utterance


def valid_clips(source: str | Path, sample_rate: int, n: int, max_s: float) -> list[ValidClip]:
    """Read up to `n` utterances, spread evenly over `source` and cut at `max_s` seconds.

    Raises:
        ValueError: an empty `source`, or an unreadable file.
    """
    utterances = read_manifest(source)
    spread = np.linspace(0, len(utterances) - 1, min(n, len(utterances))).round().astype(int)
    clips = []
    for number, index in enumerate(spread):
        path, text = utterances[index].path, utterances[index].text
        with open_recording(path, sample_rate) as recording:
            length = min(recording.n_samples, int(max_s * sample_rate))
            waveform = torch.from_numpy(recording.read(0, length))
            text = text if length == recording.n_samples else None
        if not waveform.any():
            warnings.warn(f"{path}: silent, useless as a validation clip", stacklevel=2)
        clips.append(ValidClip(f"{number:02d}_{Path(path).stem}", waveform, text))
    return clips


def _iterate(loader: DataLoader[Any]) -> Generator[Any, None, None]:
    batches = iter(loader)
    try:
        while True:
            try:
                yield next(batches)
            except (RuntimeError, EOFError, ConnectionError) as error:
                if isinstance(error, RuntimeError) and not _DEATH.search(str(error)):
                    raise
                reason = str(error) or "its pipe closed"
                raise RuntimeError(f"a data worker died ({reason}); out of memory? Lower num_workers") from error
    finally:
        if loader.num_workers:  # deleting `batches` is not enough: a traceback may still hold it
            batches._shutdown_workers()  # type: ignore[attr-defined]


def _close(batches: weakref.ref[Generator[Any, None, None]]) -> None:
    if (generator := batches()) is not None:
        generator.close()


def _start_worker(_: int) -> None:
    """Ignore signals to the process group: the parent ends its workers."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The parent may finish a step and save first; the alarm ends a worker that it left behind.
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(_GRACE_S))
