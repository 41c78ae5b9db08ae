"""What a study found: a row for each variant, and the best one against every other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from codec.files import atomic_file
from eval.metrics.base import Column
from eval.results import SystemResult
from eval.stats import Difference, Interval
from eval.tables import table, title
from train.ablate.cost import Cost


@dataclass(frozen=True)
class Score(Interval):
    """A mean over recordings of what seeds gave on average, and how far apart the means of single seeds lie."""

    spread: float  # largest minus smallest


@dataclass(frozen=True)
class Row:
    """One variant."""

    variant: str
    seeds: tuple[int, ...]  # whose training is complete
    cost: Cost
    scores: dict[str, Score]  # by column
    best_minus: dict[str, Difference]  # by column: the best variant minus this one; empty for the best itself


@dataclass(frozen=True)
class Outcome:
    """A study's variants, in its order."""

    columns: list[Column]
    best: str  # by the first column
    rows: list[Row]
    failures: dict[str, str]  # by run: what it lacks


def outcome(
    columns: list[Column],
    results: dict[str, dict[int, SystemResult]],
    costs: dict[str, Cost],
    failures: dict[str, str],
) -> Outcome:
    """Join the results of every variant's seeds and compare.

    Args:
        columns: of the results; the first decides.
        results: by variant and seed.
        costs: by variant.
        failures: by run.

    Raises:
        ValueError: no variant has a value to decide by.
    """
    joined = {variant: _mean_of(list(by_seed.values())) for variant, by_seed in results.items()}
    first = columns[0]
    sign = 1 if first.higher_is_better else -1
    values = {variant: result.mean(first.key) for variant, result in joined.items()}
    decided = {variant: sign * value.mean for variant, value in values.items() if value}
    if not decided:
        raise ValueError(
            f"{first.key}: no recording has a value for any variant, so none is best; see eval/results.json"
        )
    best = max(decided, key=lambda variant: decided[variant])
    rows = []
    for variant, result in joined.items():
        differences = {c.key: joined[best].minus(result, c.key) for c in columns} if variant != best else {}
        rows.append(
            Row(
                variant,
                tuple(results[variant]),
                costs[variant],
                _scores(columns, result, list(results[variant].values())),
                {key: difference for key, difference in differences.items() if difference},
            )
        )
    return Outcome(columns, best, rows, failures)


def write(folder: Path, found: Outcome, study: dict[str, Any], made: dict[str, Any]) -> None:
    """Write `table.md`, and `results.json` with the study and how it was made as well; each whole or not at all."""
    content = json.dumps({"study": study, **asdict(found), "made": made}, indent=1) + "\n"
    for name, text in (("table.md", markdown(found)), ("results.json", content)):
        with atomic_file(folder / name) as new:
            new.write_text(text, encoding="utf-8")


def markdown(found: Outcome) -> str:
    """All variants, then the best against the others, then what failed."""
    c = found.columns
    header = ["variant", "seeds", "M parameters", "GFLOP per s", "frames/s", "kbit/s", "steps", "audio, h", "min"]
    rows = [
        [_bold(r.variant, found), str(len(r.seeds)), *_cost(r.cost), *(_score(r.scores.get(x.key), x) for x in c)]
        for r in found.rows
    ]
    parts = [
        "Means over recordings, each averaged over seeds, with 95% bootstrap intervals; in parentheses how far the "
        "means of single seeds lie apart. GFLOP to encode and decode a second of audio; steps, hours of audio and "
        "minutes of training.",
        table([*header, *map(title, c)], rows),
    ]
    if len(found.rows) > 1:
        parts += [
            f"{found.best} is best by {c[0].title}. It minus every other, on the same recordings, with the p value of "
            "a paired permutation test, not corrected for the number of comparisons. It speaks of other recordings, "
            "not of other trainings: a difference within the spread of seeds decides nothing.",
            table(
                [f"{found.best} minus", *map(title, c)],
                [
                    [r.variant, *(_difference(r.best_minus.get(x.key), x) for x in c)]
                    for r in found.rows
                    if r.variant != found.best
                ],
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
            scores[column.key] = Score(**asdict(interval), spread=max(means) - min(means))
    return scores


def _bold(variant: str, found: Outcome) -> str:
    return f"**{variant}**" if variant == found.best else variant


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


def _difference(x: Difference | None, column: Column) -> str:
    if x is None:
        return "-"
    average, low, high = (f"{value:+.{column.decimals}f}" for value in (x.mean, x.low, x.high))
    return f"{average} [{low}, {high}], p = {x.p:.4f}"
