"""Tables of results, and results as Markdown and CSV."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from codec.files import write_text
from eval.metrics.base import Column
from eval.paper import Cell, Estimate, Table
from eval.results import Results, SystemResult
from eval.stats import Comparison, Interval, correct

GROUP_COLUMNS = ("pesq_wb", "estoi")  # shown by group


def markdown(results: Results) -> str:
    """Tables of means, over all recordings and by group, and a list of what could not be measured."""
    measured = [s for s in results.systems if not s.not_measured]
    parts = [means(results).markdown()]
    shown = [c for c in results.columns if c.key in GROUP_COLUMNS]
    if results.groups and shown:
        header = ["system", *(f"{name} ({len(ids)})" for name, ids in results.groups.items())]
        rows = [[s.system, *(_short(s.restrict(ids), shown) for ids in results.groups.values())] for s in measured]
        parts += [f"{' / '.join(c.title for c in shown)} by group (recordings):", table(header, rows)]
    if missing := _missing(results):
        parts.append("\n".join(missing))
    return "\n\n".join(parts) + "\n"


def means(results: Results) -> Table:
    """Means of all systems that are measured."""
    header = ["system", "files", "kbit/s", *(title(c) for c in results.columns)]
    rows = [
        [s.system, str(n_files(s, results)), _rate(s), *(estimate(s.mean(c.key), c) for c in results.columns)]
        for s in results.systems
        if not s.not_measured
    ]
    return Table(header, rows, "Means with 95% bootstrap intervals over recordings; kbit/s of payload.")


def differences(results: Results, reference: str) -> Table:
    """Each system minus the system `reference`, on the recordings of both.

    Raises:
        ValueError: no such system.
    """
    systems = {s.system: s for s in results.systems if not s.not_measured}
    if reference not in systems:
        raise ValueError(f"{reference}: no such system; expected one of {', '.join(systems)}")
    base = systems.pop(reference)
    columns = {}
    for c in results.columns:
        found = {name: s.minus(base, c.key) for name, s in systems.items()}
        columns[c.key] = correct({name: difference for name, difference in found.items() if difference})
    rows = [[name, *(compared(columns[c.key].get(name), c) for c in results.columns)] for name in systems]
    caption = (
        f"Each minus {reference} on the same recordings, with 95% bootstrap intervals; p values are of paired "
        f"permutation tests, corrected (Holm) for the {len(rows)} comparisons of a column."
    )
    return Table([f"minus {reference}", *map(title, results.columns)], rows, caption)


def write(folder: Path, results: Results) -> None:
    """Write `table.md`, and `table.csv` with a line for every system and recording; each whole or not at all."""
    for name, text in (("table.md", markdown(results)), ("table.csv", _csv(results))):
        write_text(folder / name, text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return Table(header, rows).markdown()


def print_table(header: Sequence[str], names: Sequence[str], row: Callable[[str], list[str]], caption: str = "") -> int:
    """Print a Markdown table with a row for each name, up to the first that raises an error.

    Returns:
        The exit status of a command: 1 after an error, which is printed, else 0.
    """
    rows, status = [], 0
    try:
        for name in names:
            rows.append([name, *row(name)])
    except (ValueError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    if rows:
        print(caption + table(header, rows))
    return status


def title(column: Column) -> str:
    return column.title + (f" ({column.unit})" if column.unit else "")


def n_files(system: SystemResult, results: Results) -> int:
    """Count the recordings that every metric could score."""
    return len(results.recordings) - sum(r.id in system.failures for r in results.recordings)


def _missing(results: Results) -> list[str]:
    lines = [f"- {metric}: not measured: {reason}" for metric, reason in results.not_measured.items()]
    for s in results.systems:
        lines += [f"- {s.system}: not measured: {s.not_measured}"] if s.not_measured else []
        lines += [f"- {s.system}: {len(s.failures)} recordings failed:"] if s.failures else []
        for name, reasons in s.failures.items():
            lines += [f"  - {name}: {metric}: {reason}" for metric, reason in reasons.items()]
    return lines


def _csv(results: Results) -> str:
    keys = [c.key for c in results.columns]
    rows = [
        [s.system, r.id, *(str(s.values.get(key, {}).get(r.id, "")) for key in keys)]
        for s in results.systems
        for r in results.recordings
    ]
    return Table(["system", "recording", *keys], rows).csv()


def estimate(x: Interval | None, column: Column) -> Cell:
    """A mean and its interval with the column's decimals; "-" where nothing was measured."""
    return Estimate(x, column.decimals) if x else "-"


def compared(x: Comparison | None, column: Column) -> Cell:
    """A difference with its p values; "-" where nothing was measured."""
    if x is None:
        return "-"
    note = f", p = {x.p:.4f}, corrected {x.p_holm:.4f}"
    return Estimate(x, column.decimals, note, {"p": x.p, "p corrected": x.p_holm})


def _rate(system: SystemResult) -> str:
    return f"{system.kbit_per_s:.2f}" if system.kbit_per_s else "not measured"


def _short(system: SystemResult, columns: Sequence[Column]) -> str:
    means = [(system.mean(c.key), c.decimals) for c in columns]
    return " / ".join(f"{mean.mean:.{decimals}f}" if mean else "-" for mean, decimals in means)
