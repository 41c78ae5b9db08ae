"""All scores of one output, of many in worker processes, and their means with confidence intervals."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context

import numpy as np
import torch
from tqdm import tqdm

from eval.metrics.pair import Waveform
from eval.metrics.perceptual import estoi, pesq_wb, stoi
from eval.metrics.signal import mel_distance, stft_distance

Pair = tuple[str, Waveform, Waveform]  # name, reference [L], output [L]
N_RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Scores:
    """Of one output; higher is better for the first three, lower for the others."""

    pesq: float
    stoi: float
    estoi: float
    mel: float
    stft: float


@dataclass(frozen=True)
class Row:
    """What came of one pair: scores, or the reason why there are none."""

    name: str
    scores: Scores | None
    error: str = ""


@dataclass(frozen=True)
class Interval:
    """A mean and its 95% confidence interval."""

    mean: float
    low: float
    high: float


def score(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> Scores:
    """All scores of `output` `[L]` against `reference` `[L]`.

    Raises:
        ValueError: a measure cannot judge the pair; the message says which and why.
    """
    return Scores(
        pesq=pesq_wb(reference, output, sample_rate),
        stoi=stoi(reference, output, sample_rate),
        estoi=estoi(reference, output, sample_rate),
        mel=mel_distance(reference, output, sample_rate),
        stft=stft_distance(reference, output),
    )


def score_each(pairs: Iterable[Pair], workers: int = 0, sample_rate: int = 24_000) -> Iterator[Row]:
    """A row for each pair, in order, as soon as it is known; pairs are taken only a little ahead.

    Args:
        pairs: names and waveforms.
        workers: processes; 0 scores in this one. Scripts that ask for some need the usual
            `if __name__ == "__main__":`, because each worker imports the script.
        sample_rate: of all waveforms, in Hz.
    """
    if not workers:
        yield from (_score_row(pair, sample_rate) for pair in pairs)
        return
    # Forked workers can hang in torch's thread pools, so they start afresh.
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        pending: deque[Future[Row]] = deque()
        for name, reference, output in pairs:
            arrays = [x.numpy(force=True) if isinstance(x, torch.Tensor) else x for x in (reference, output)]
            pending.append(pool.submit(_score_row, (name, arrays[0], arrays[1]), sample_rate))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def score_all(pairs: Sequence[Pair], workers: int = 0, sample_rate: int = 24_000) -> list[Row]:
    """`score_each` with a progress bar, which says how many pairs failed."""
    rows: list[Row] = []
    with tqdm(total=len(pairs), unit="file", disable=None) as bar:
        for row in score_each(pairs, workers, sample_rate):
            rows.append(row)
            bar.update()
            bar.set_postfix(failed=len(failures(rows)))
    return rows


def failures(rows: Iterable[Row]) -> dict[str, str]:
    """The reason for each pair that has no scores."""
    return {row.name: row.error for row in rows if row.scores is None}


def summarize(rows: Iterable[Row], seed: int = 0) -> dict[str, Interval]:
    """Mean of each score over the rows that have scores, with a 95% bootstrap interval.

    Utterances are resampled, so the interval speaks of other utterances of these speakers, not of
    other speakers. Empty if no row has scores.
    """
    table = [asdict(row.scores) for row in rows if row.scores is not None]
    return {name: bootstrap([scores[name] for scores in table], seed) for name in (table[0] if table else ())}


def bootstrap(values: Sequence[float], seed: int = 0) -> Interval:
    """The mean of at least one value, and percentiles of the means of `N_RESAMPLES` resamples."""
    x = np.asarray(values, np.float64)
    picks = np.random.default_rng(seed).integers(len(x), size=(N_RESAMPLES, len(x)))
    low, high = np.quantile(x[picks].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(x.mean()), float(low), float(high))


def _score_row(pair: Pair, sample_rate: int) -> Row:
    name, reference, output = pair
    try:
        return Row(name, score(reference, output, sample_rate))
    except ValueError as error:
        return Row(name, None, str(error))
