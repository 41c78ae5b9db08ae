"""Scores of one output, and of many in worker processes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

import torch

from eval.metrics.base import Pair
from eval.metrics.registry import make_metric


@dataclass(frozen=True)
class Job:
    """A pair under a name, and the metrics that are to judge it."""

    name: str
    pair: Pair
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Scored:
    """What came of a job."""

    name: str
    values: dict[str, dict[str, float]] = field(default_factory=dict)  # by metric, by column
    errors: dict[str, str] = field(default_factory=dict)  # by metric: why it has no value


def score(job: Job) -> Scored:
    """Judge one pair by every metric of the job.

    Raises:
        MissingBackendError, ValueError: a metric cannot be made (see `make_metric`).
    """
    scored = Scored(job.name)
    for spec in job.metrics:
        metric = make_metric(spec)
        try:
            values = [float(value) for value in metric.measure(job.pair)]
        except ValueError as error:
            scored.errors[spec] = str(error)
            continue
        if all(map(math.isfinite, values)):
            scored.values[spec] = {c.key: value for c, value in zip(metric.columns, values, strict=True)}
        else:
            scored.errors[spec] = f"{spec}: came out as {values}"
    return scored


def score_each(jobs: Iterable[Job], workers: int = 0) -> Iterator[Scored]:
    """What comes of each job, in order, as soon as it is known; jobs are taken only a little ahead.

    Args:
        jobs: what to judge, by what.
        workers: processes; 0 scores in this one. Scripts that ask for some need the usual
            `if __name__ == "__main__":`, because each worker imports the script.
    """
    if not workers:
        yield from map(score, jobs)
        return
    # Forked workers can hang in torch's thread pools, so they start afresh.
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        pending: deque[Future[Scored]] = deque()
        for job in jobs:
            pending.append(pool.submit(score, job))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def columns_of(scored: Iterable[Scored]) -> dict[str, dict[str, float]]:
    """Values by column, then by name, of those that have one."""
    table: dict[str, dict[str, float]] = {}
    for one in scored:
        for values in one.values.values():
            for key, value in values.items():
                table.setdefault(key, {})[one.name] = value
    return table


def failures(scored: Iterable[Scored]) -> dict[str, dict[str, str]]:
    """Errors by name, of those that have any."""
    return {one.name: one.errors for one in scored if one.errors}
