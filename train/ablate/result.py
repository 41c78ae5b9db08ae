"""Results of a study: scores of each variant, and their differences from a reference variant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from codec.files import write_text
from eval.metrics.base import Column
from eval.paper import Bold, Cell, Estimate, Table, write_table
from eval.results import SystemResult
from eval.stats import Comparison, Interval, correct
from eval.tables import compared, title
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
    minus = {column.key: _compare(joined, reference, column.key) for column in columns}
    rows = [
        Row(
            *point,
            tuple(results[point]),
            costs[point],
            _scores(columns, result, list(results[point].values())),
            {key: by_point[point] for key, by_point in minus.items() if point in by_point},
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
    return correct(differences)


def write_results(folder: Path, result: StudyResult, study: dict[str, Any], environment: dict[str, Any]) -> None:
    """Write `table.md`, each table for papers, and `results.json` with the study and its environment."""
    content = json.dumps({"study": study, **asdict(result), "made": environment}, indent=1) + "\n"
    for name, text in (("table.md", to_markdown(result)), ("results.json", content)):
        write_text(folder / name, text)
    for name, table in tables(result).items():
        write_table(folder, name, table)


def to_markdown(result: StudyResult) -> str:
    """Format all tables, and a list of failures."""
    parts = [table.markdown() for table in tables(result).values()]
    if result.failures:
        parts.append("\n".join(f"- {name}: {reason}" for name, reason in result.failures.items()))
    return "\n\n".join(parts) + "\n"


def tables(result: StudyResult) -> dict[str, Table]:
    """The tables of all variants, `scores`, and of `differences` from the reference if there are any."""
    found = {"scores": _scores_table(result)}
    if any(row.minus_reference for row in result.rows):
        found["differences"] = _differences_table(result)
    return found


def _scores_table(result: StudyResult) -> Table:
    c = result.columns
    header = [
        "variant", "codebooks", "seeds", "M parameters", "GFLOP per s", "frames/s", "kbit/s", "steps", "audio, h", "min"
    ]  # fmt: skip
    rows = [
        [*_point(r, result), str(len(r.seeds)), *_cost(r.cost), *(_score(r.scores.get(x.key), x) for x in c)]
        for r in result.rows
    ]
    caption = (
        "Means over recordings and seeds, with 95% bootstrap intervals over recordings. GFLOP to encode and decode a "
        f"second of audio; steps, hours of audio and minutes of training. {result.best} is best by {c[0].title}."
    )
    return Table([*header, *map(title, c)], rows, caption, "In parentheses the range of the means of seeds.")


def _differences_table(result: StudyResult) -> Table:
    c = result.columns
    rows = [
        [*_point(r, result), *(compared(r.minus_reference.get(x.key), x) for x in c)]
        for r in result.rows
        if r.minus_reference
    ]
    caption = (
        f"Each minus {result.reference}, on the same recordings, with a paired permutation test and Holm's correction "
        f"for the {len(rows)} comparisons of its column. The test is about the choice of recordings, not of seeds: a "
        "difference within the range of seeds is inconclusive."
    )
    about = "p is that of the test alone, then with Holm's correction."
    return Table([f"minus {result.reference}", "codebooks", *map(title, c)], rows, caption, about)


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


def _point(row: Row, result: StudyResult) -> list[Cell]:
    name = Bold(row.variant) if row.variant == result.best else row.variant
    return [name, "all" if row.n_q is None else str(row.n_q)]


def _cost(cost: Cost) -> list[str]:
    return [
        f"{cost.parameters / 1e6:.2f}", f"{cost.flops / 1e9:.2f}", f"{cost.frame_rate:g}", f"{cost.kbit_per_s:.3f}",
        f"{cost.steps:.0f}", f"{cost.audio_h:.2f}", f"{cost.minutes:.1f}",
    ]  # fmt: skip


def _score(x: Score | None, column: Column) -> Cell:
    if x is None:
        return "-"
    return Estimate(x, column.decimals, f" ({x.spread:.{column.decimals}f})", {"range of seeds": x.spread})
