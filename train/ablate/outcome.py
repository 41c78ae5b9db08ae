"""What a study found: a row for each variant, and the others against one of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from codec.files import atomic_file
from eval.metrics.base import Column
from eval.results import SystemResult
from eval.stats import Difference, Interval, holm
from eval.tables import table, title
from train.ablate.cost import Cost


class Point(NamedTuple):
    """What is measured: a variant with its first codebooks."""

    variant: str
    n_q: int | None  # all if None


@dataclass(frozen=True)
class Score(Interval):
    """A mean over recordings of what seeds gave on average, and those of single seeds."""

    by_seed: tuple[float, ...]

    @property
    def spread(self) -> float:
        """How far apart the means of single seeds lie."""
        return max(self.by_seed) - min(self.by_seed)


@dataclass(frozen=True)
class Comparison(Difference):
    """A difference to the reference variant."""

    p_holm: float  # `p` corrected for the number of comparisons by the same column


@dataclass(frozen=True)
class Row:
    """One variant with some of its codebooks."""

    variant: str
    n_q: int | None  # all if None
    seeds: tuple[int, ...]  # whose training is complete
    cost: Cost
    scores: dict[str, Score]  # by column
    minus_reference: dict[str, Comparison]  # by column: it minus the reference variant with as many codebooks


@dataclass(frozen=True)
class Outcome:
    """A study's variants, in its order."""

    columns: list[Column]
    best: str  # by the first column, with most codebooks
    reference: str  # that the others are held against: the study's, or the best
    rows: list[Row]
    failures: dict[str, str]  # by run: what it lacks


def outcome(
    columns: list[Column],
    results: dict[Point, dict[int, SystemResult]],
    costs: dict[Point, Cost],
    failures: dict[str, str],
    reference: str = "",
) -> Outcome:
    """Join the results of every variant's seeds and compare.

    Args:
        columns: of the results; the first decides.
        results: by point and seed.
        costs: by point.
        failures: by run.
        reference: the variant that the others are held against; the best one if none.

    Raises:
        ValueError: no variant has a value to decide by.
    """
    joined = {point: _mean_of(list(by_seed.values())) for point, by_seed in results.items()}
    best = _best(columns[0], joined)
    reference = reference or best
    compared = {column.key: _compare(joined, reference, column.key) for column in columns}
    rows = [
        Row(
            *point,
            tuple(results[point]),
            costs[point],
            _scores(columns, result, list(results[point].values())),
            {key: by_point[point] for key, by_point in compared.items() if point in by_point},
        )
        for point, result in joined.items()
    ]
    return Outcome(columns, best, reference, rows, failures)


def _best(column: Column, joined: dict[Point, SystemResult]) -> str:
    sign = 1 if column.higher_is_better else -1
    most = max((point.n_q for point in joined if point.n_q), default=None)
    values = {p.variant: result.mean(column.key) for p, result in joined.items() if p.n_q == most}
    decided = {variant: sign * value.mean for variant, value in values.items() if value}
    if not decided:
        raise ValueError(
            f"{column.key}: no recording has a value for any variant, so none is best; see eval/results.json"
        )
    return max(decided, key=lambda variant: decided[variant])


def _compare(joined: dict[Point, SystemResult], reference: str, column: str) -> dict[Point, Comparison]:
    """Every point minus the reference with as many codebooks, as far as both are measured."""
    found = {}
    for point, result in joined.items():
        base = joined.get(Point(reference, point.n_q))
        if base and point.variant != reference and (difference := result.minus(base, column)):
            found[point] = difference
    corrected = holm([difference.p for difference in found.values()])
    return {point: Comparison(**asdict(d), p_holm=p) for (point, d), p in zip(found.items(), corrected, strict=True)}


def write(folder: Path, found: Outcome, study: dict[str, Any], made: dict[str, Any]) -> None:
    """Write `table.md`, and `results.json` with the study and how it was made; each whole or not at all."""
    content = json.dumps({"study": study, **asdict(found), "made": made}, indent=1) + "\n"
    for name, text in (("table.md", markdown(found)), ("results.json", content)):
        with atomic_file(folder / name) as new:
            new.write_text(text, encoding="utf-8")


def markdown(found: Outcome) -> str:
    """All variants, then the others against the reference, then what failed."""
    c = found.columns
    header = [
        "variant", "codebooks", "seeds", "M parameters", "GFLOP per s", "frames/s", "kbit/s", "steps", "audio, h", "min"
    ]  # fmt: skip
    rows = [
        [*_point(r, found), str(len(r.seeds)), *_cost(r.cost), *(_score(r.scores.get(x.key), x) for x in c)]
        for r in found.rows
    ]
    parts = [
        "Means over recordings, each averaged over seeds, with 95% bootstrap intervals; in parentheses how far the "
        "means of single seeds lie apart. GFLOP to encode and decode a second of audio; steps, hours of audio and "
        f"minutes of training. {found.best} is best by {c[0].title}.",
        table([*header, *map(title, c)], rows),
    ]
    compared = [row for row in found.rows if row.minus_reference]
    if compared:
        parts += [
            f"Each minus {found.reference}, on the same recordings, with the p value of a paired permutation test, and "
            f"corrected for the {len(compared)} comparisons of its column (Holm). It speaks of other recordings, not "
            "of other trainings: a difference within the spread of seeds decides nothing.",
            table(
                [f"minus {found.reference}", "codebooks", *map(title, c)],
                [[*_point(r, found), *(_difference(r.minus_reference.get(x.key), x) for x in c)] for r in compared],
            ),
        ]
    if found.failures:
        parts.append("\n".join(f"- {name}: {reason}" for name, reason in found.failures.items()))
    return "\n\n".join(parts) + "\n"


def _mean_of(results: Sequence[SystemResult]) -> SystemResult:
    """Values of the recordings that every result has, averaged."""
    values = {}
    for column in results[0].values:
        tables = [result.values.get(column, {}) for result in results]
        values[column] = {i: mean(t[i] for t in tables) for i in tables[0] if all(i in t for t in tables)}
    return SystemResult(results[0].system, values=values)


def _scores(columns: Sequence[Column], joined: SystemResult, results: Sequence[SystemResult]) -> dict[str, Score]:
    scores = {}
    for column in columns:
        if interval := joined.mean(column.key):
            ids = joined.values[column.key]
            means = [mean(result.values[column.key][i] for i in ids) for result in results]
            scores[column.key] = Score(**asdict(interval), by_seed=tuple(means))
    return scores


def _point(row: Row, found: Outcome) -> list[str]:
    name = f"**{row.variant}**" if row.variant == found.best else row.variant
    return [name, "all" if row.n_q is None else str(row.n_q)]


def _cost(cost: Cost) -> list[str]:
    return [
        f"{cost.parameters / 1e6:.2f}", f"{cost.flops / 1e9:.2f}", f"{cost.frame_rate:g}", f"{cost.kbit_per_s:.3f}",
        f"{cost.steps:.0f}", f"{cost.audio_h:.2f}", f"{cost.minutes:.1f}",
    ]  # fmt: skip


def _score(x: Score | None, column: Column) -> str:
    if x is None:
        return "-"
    average, low, high, spread = (f"{value:.{column.decimals}f}" for value in (x.mean, x.low, x.high, x.spread))
    return f"{average} [{low}, {high}] ({spread})"


def _difference(x: Comparison | None, column: Column) -> str:
    if x is None:
        return "-"
    average, low, high = (f"{value:+.{column.decimals}f}" for value in (x.mean, x.low, x.high))
    return f"{average} [{low}, {high}], p = {x.p:.4f}, corrected {x.p_holm:.4f}"
