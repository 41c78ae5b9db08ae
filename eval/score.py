"""Scores of outputs by metrics: in this process or in workers, and kept in the folder of a run."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

from codec.extras import MissingDependencyError
from eval.metrics.base import Column, Metric, Pair
from eval.metrics.registry import make_metric
from eval.progress import progress
from eval.results import SystemResult
from eval.store import Lines
from eval.workers import pool


@dataclass(frozen=True)
class Job:
    """A named pair and the metrics to score it with."""

    name: str
    pair: Pair
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Scored:
    """The result of a job."""

    name: str
    values: dict[str, dict[str, float]] = field(default_factory=dict)  # by metric, by column
    errors: dict[str, str] = field(default_factory=dict)  # by metric: why it has no value


def score(job: Job) -> Scored:
    """Score one pair with every metric of the job.

    Raises:
        MissingDependencyError, ValueError: a metric cannot be made (see `make_metric`).
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
    """Yield the result of each job, in order, as soon as it is there; few jobs are taken in advance.

    Args:
        jobs: pairs and metrics.
        workers: processes, as of `eval.workers.pool`; 0 scores in this one.
    """
    if not workers:
        yield from map(score, jobs)
        return
    with pool(workers) as processes:
        pending: deque[Future[Scored]] = deque()
        for job in jobs:
            pending.append(processes.submit(score, job))
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


@dataclass(frozen=True)
class Scorable:
    """An output that metrics can score."""

    id: str
    digest: str  # of what it was made from: scores are reused while it stays the same
    pair: Callable[[], Pair]


class Scorer:
    """The metrics of a run, with the scores that its folder keeps in `scores.jsonl`.

    Scores are kept under the metrics' own keys. Where several metrics have a column of one key, as two recognisers
    do, each column of the results gets the name of its metric too.

    Attributes:
        metrics: by name as asked for, those that can be measured here.
        columns: of the results, in order; all keys differ.
        not_measured: by name, what other metrics lack.

    Raises:
        ValueError: an unknown metric.
    """

    def __init__(self, names: Sequence[str], folder: Path, workers: int = 0) -> None:
        self.metrics: dict[str, Metric] = {}
        self.not_measured: dict[str, str] = {}
        for name in dict.fromkeys(names):
            try:
                self.metrics[name] = make_metric(name)
            except MissingDependencyError as error:
                self.not_measured[name] = str(error)
        counts = Counter(column.key for metric in self.metrics.values() for column in metric.columns)
        self._columns = {
            (name, column.key): _distinct(column, name, metric.version, counts[column.key] > 1)
            for name, metric in self.metrics.items()
            for column in metric.columns
        }
        self.columns = list(self._columns.values())
        self.kept = Lines(folder / "scores.jsonl", ("system", "version", "id", "digest", "metric", "metric_version"))
        self.workers = workers

    def score(self, result: SystemResult, outputs: Sequence[Scorable]) -> None:
        """Fill in values and failures of a system's outputs, with kept scores where there are any."""
        jobs, keys = [], {o.id: (result.system, result.version, o.id, o.digest) for o in outputs}
        for output in outputs:
            missing = []
            for name, metric in self.metrics.items():
                if kept := self.kept.get(*keys[output.id], name, metric.version):
                    self._enter(result, output.id, name, kept["values"])
                else:
                    missing.append(name)
            if missing:
                jobs.append((output, tuple(missing)))
        each = score_each((Job(output.id, output.pair(), missing) for output, missing in jobs), self.workers)
        bar = progress(each, total=len(jobs), desc=f"{result.system}: score", unit="file")
        for scored in bar:
            for name, values in scored.values.items():
                key = (*keys[scored.name], name, self.metrics[name].version)
                self.kept.add({**dict(zip(self.kept.keys, key, strict=True)), "values": values})
                self._enter(result, scored.name, name, values)
            if scored.errors:
                result.failures[scored.name] = scored.errors
            bar.set_postfix(failed=len(result.failures), refresh=False)

    def _enter(self, result: SystemResult, output: str, metric: str, values: dict[str, float]) -> None:
        for key, value in values.items():
            result.values.setdefault(self._columns[metric, key].key, {})[output] = value


def _distinct(column: Column, metric: str, version: str, is_shared: bool) -> Column:
    """A metric's column as results have it: with what it was measured by, and a key of its own."""
    column = replace(column, measured_by=f"{metric.partition('=')[0]}, {version}")
    return replace(column, key=f"{column.key}:{metric}", title=f"{column.title} ({metric})") if is_shared else column
