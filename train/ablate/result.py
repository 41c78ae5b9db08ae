"""Results of a study: scores of each variant, and their differences from a reference variant."""

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
    """A variant used with its first `n_q` codebooks."""

    variant: str
    n_q: int | None  # all if None


@dataclass(frozen=True)
class Score(Interval):
    """Mean over recordings of the mean over seeds, and the mean of each seed."""

    by_seed: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Range of the means of the seeds."""
        return max(self.by_seed) - min(self.by_seed)


@dataclass(frozen=True)
class Comparison(Difference):
    """Difference from the reference variant."""

    p_holm: float  # `p` with Holm's correction for the comparisons of the same column


@dataclass(frozen=True)
class Row:
    """Results of one variant with `n_q` codebooks."""

    variant: str
    n_q: int | None  # all if None
    seeds: tuple[int, ...]  # with a complete training
    cost: Cost
    scores: dict[str, Score]  # by column
    minus_reference: dict[str, Comparison]  # by column: this minus the reference with as many codebooks


@dataclass(frozen=True)
class StudyResult:
    """Results of a study; variants in its order."""

    columns: list[Column]
    best: str  # variant, by the first column with most codebooks
    reference: str  # variant that the others are compared with: the study's, or the best
    rows: list[Row]
    failures: dict[str, str]  # by run: why it has no or incomplete results


def summarize(
    columns: list[Column],
    results: dict[Point, dict[int, SystemResult]],
    costs: dict[Point, Cost],
    failures: dict[str, str],
    reference: str = "",
) -> StudyResult:
    """Average the results of each variant over seeds and compare the variants.

    Args:
        columns: of the results; the first selects the best variant.
        results: by point and seed.
        costs: by point.
        failures: by run.
        reference: variant to compare with; empty: the best.

    Raises:
        ValueError: no variant has a value in the first column.
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
    return StudyResult(columns, best, reference, rows, failures)


def _best(column: Column, joined: dict[Point, SystemResult]) -> str:
    sign = 1 if column.higher_is_better else -1
    most = max((point.n_q for point in joined if point.n_q), default=None)
    values = {p.variant: result.mean(column.key) for p, result in joined.items() if p.n_q == most}
    decided = {variant: sign * value.mean for variant, value in values.items() if value}
    if not decided:
        raise ValueError(
            f"{column.key}: no recording has a value for any variant, so none is the best; see eval/results.json"
        )
    return max(decided, key=lambda variant: decided[variant])


def _compare(joined: dict[Point, SystemResult], reference: str, column: str) -> dict[Point, Comparison]:
    """Each point minus the reference with as many codebooks, where both have values."""
    differences = {}
    for point, result in joined.items():
        base = joined.get(Point(reference, point.n_q))
        if base and point.variant != reference and (difference := result.minus(base, column)):
            differences[point] = difference
    corrected = holm([difference.p for difference in differences.values()])
    return {
        point: Comparison(**asdict(d), p_holm=p) for (point, d), p in zip(differences.items(), corrected, strict=True)
    }


def write_results(folder: Path, result: StudyResult, study: dict[str, Any], environment: dict[str, Any]) -> None:
    """Write `table.md`, and `results.json` with the study and its environment."""
    content = json.dumps({"study": study, **asdict(result), "made": environment}, indent=1) + "\n"
    for name, text in (("table.md", to_markdown(result)), ("results.json", content)):
        with atomic_file(folder / name) as new:
            new.write_text(text, encoding="utf-8")


def to_markdown(result: StudyResult) -> str:
    """Format tables of all variants and of differences from the reference, and a list of failures."""
    c = result.columns
    header = [
        "variant", "codebooks", "seeds", "M parameters", "GFLOP per s", "frames/s", "kbit/s", "steps", "audio, h", "min"
    ]  # fmt: skip
    rows = [
        [*_point(r, result), str(len(r.seeds)), *_cost(r.cost), *(_score(r.scores.get(x.key), x) for x in c)]
        for r in result.rows
    ]
    parts = [
        "Means over recordings and seeds, with 95% bootstrap intervals over recordings; in parentheses the range of "
        "the means of seeds. GFLOP to encode and decode a second of audio; steps, hours of audio and minutes of "
        f"training. {result.best} is best by {c[0].title}.",
        table([*header, *map(title, c)], rows),
    ]
    compared = [row for row in result.rows if row.minus_reference]
    if compared:
        parts += [
            f"Each minus {result.reference}, on the same recordings, with the p value of a paired permutation test, "
            f"alone and with Holm's correction for the {len(compared)} comparisons of its column. The test is about "
            "the choice of recordings, not of seeds: a difference within the range of seeds is inconclusive.",
            table(
                [f"minus {result.reference}", "codebooks", *map(title, c)],
                [[*_point(r, result), *(_difference(r.minus_reference.get(x.key), x) for x in c)] for r in compared],
            ),
        ]
    if result.failures:
        parts.append("\n".join(f"- {name}: {reason}" for name, reason in result.failures.items()))
    return "\n\n".join(parts) + "\n"


def _mean_of(results: Sequence[SystemResult]) -> SystemResult:
    """Average the values of the recordings that all results have."""
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


def _point(row: Row, result: StudyResult) -> list[str]:
    name = f"**{row.variant}**" if row.variant == result.best else row.variant
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
