"""Results of speech models as Markdown: means by language, differences between models, what was not measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

from eval.metrics.base import Column
from eval.paper import Cell, Estimate, Table
from eval.results import Results, SystemResult
from eval.stats import Difference
from eval.tables import title

INTRODUCTION = """\
Means with 95% bootstrap intervals over texts, of several seeds the mean for each text. WER and CER compare a
recogniser's transcript with the text; its own mistakes count, so read them beside those of the recordings and of the
codec's round trip, the upper bounds of a model. SIM is the similarity to the recording that the voice was taken from;
"own voice" is the share that is more similar to it than to any other speaker of the language. RTF is that of a batch;
"cut" is the share that did not end by itself."""


def markdown(results: Results, models: Sequence[str], left_out: Mapping[str, str]) -> str:
    """Tables for all texts, and for each language if there are several.

    Args:
        results: of a run.
        models: which of the systems are speech models, to be compared with each other.
        left_out: by id, why recordings of the test set were left out.
    """
    parts = [INTRODUCTION]
    groups = results.groups if len(results.groups) > 1 else {}
    for name, ids in ({"all": [r.id for r in results.recordings]} | groups).items():
        systems = [system.restrict(ids) for system in results.systems if not system.not_measured]
        measured = [c for c in results.columns if any(system.values.get(c.key) for system in systems)]
        rows: list[list[Cell]] = [[s.system, str(_n(s)), *(_mean(s, c) for c in measured)] for s in systems]
        if groups:
            parts.append(f"## {name} ({len(ids)} texts)")
        parts.append(Table(["system", "texts", *map(title, measured)], rows).markdown())
        if pairs := list(combinations([s for s in systems if s.system in models], 2)):
            parts += [
                "Differences on the same texts, with p of a paired permutation test:",
                _differences(pairs, measured),
            ]
    if missing := _missing(results, left_out):
        parts.append("\n".join(missing))
    return "\n\n".join(parts) + "\n"


def _n(system: SystemResult) -> int:
    """Count the items with any value."""
    return len({i for values in system.values.values() for i in values})


def _mean(system: SystemResult, column: Column) -> Cell:
    """The mean, with the number of items if not all of them have a value."""
    if not (mean := system.mean(column.key)):
        return "-"
    return Estimate(mean, column.decimals, f" (of {mean.n})" if mean.n < _n(system) else "")


def _differences(pairs: Sequence[tuple[SystemResult, SystemResult]], columns: Sequence[Column]) -> str:
    rows = [
        [f"{second.system} minus {first.system}", *(_difference(second.minus(first, c.key), c) for c in columns)]
        for first, second in pairs
    ]
    return Table(["models", *map(title, columns)], rows).markdown()


def _difference(difference: Difference | None, column: Column) -> Cell:
    return Estimate(difference, column.decimals, f", p = {difference.p:.3f}") if difference else "-"


def _missing(results: Results, left_out: Mapping[str, str]) -> list[str]:
    """A line for each reason, with the number of texts."""
    lines = [f"- {metric}: not measured: {reason}" for metric, reason in results.not_measured.items()]
    lines += [f"- {s.system}: not measured: {s.not_measured}" for s in results.systems if s.not_measured]
    for s in results.systems:
        reasons = Counter(f"{metric}: {reason}" for own in s.failures.values() for metric, reason in own.items())
        lines += [f"- {s.system}: {n} texts: {reason}" for reason, n in reasons.items()]
    counts = Counter(left_out.values())
    return lines + [f"- {n} recordings were left out: {reason}" for reason, n in counts.items()]
