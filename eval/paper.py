"""Tables for papers: one table, written as Markdown, LaTeX (with the package booktabs) and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from codec.files import write_text
from eval.stats import SIGNIFICANT, Comparison, Difference, Interval

MARK = f" * marks p < {SIGNIFICANT:g} with Holm's correction."  # in captions for LaTeX
_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {c: f"${c}$" for c in "<>|"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


class Bold(str):
    """A cell that stands out."""


@dataclass(frozen=True)
class Estimate:
    """A cell with a mean and its interval; differences have signs, significant ones a mark in LaTeX."""

    interval: Interval
    decimals: int
    note: str = ""  # behind it in Markdown
    beside: Mapping[str, float] = field(default_factory=dict)  # in columns of their own in CSV

    @property
    def numbers(self) -> tuple[str, str, str]:
        """Mean, low and high end as text."""
        x, sign = self.interval, "+" if isinstance(self.interval, Difference) else ""
        mean, low, high = (f"{value:{sign}.{self.decimals}f}" for value in (x.mean, x.low, x.high))
        return mean, low, high


Cell = str | Estimate


@dataclass(frozen=True)
class Table:
    """A table; the first column has names."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    about: str = ""  # the notes of its cells, which only Markdown has

    def markdown(self) -> str:
        """The table, below its caption if it has one."""
        lines = [self.header, ["---"] * len(self.header), *(map(_markdown, row) for row in self.rows)]
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join(filter(None, (f"{self.caption} {self.about}".strip(), text)))

    def latex(self, label: str) -> str:
        """A float with rules of booktabs; `label` follows `tab:`."""
        cells = (cell for row in self.rows for cell in row)
        is_tested = any(isinstance(cell, Estimate) and isinstance(cell.interval, Comparison) for cell in cells)
        header, *rows = (" & ".join(map(_latex, line)) + r" \\" for line in (self.header, *self.rows))
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex(self.caption + (MARK if is_tested else ''))}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
            r"\toprule",
            header,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """A column for each number: the ends of intervals, and what is beside a mean, come after it."""
        parts = [
            {"": "", **{name: "" for row in self.rows for name in _numbers(row[place])}}
            for place in range(len(self.header))
        ]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(f"{t} {name}".strip() for t, names in zip(self.header, parts, strict=True) for name in names)
        for row in self.rows:
            numbers = zip(map(_numbers, row), parts, strict=True)
            writer.writerow(own.get(name, "") for own, names in numbers for name in names)
        return text.getvalue()


def write_table(folder: Path, name: str, table: Table) -> None:
    """Write `name.md`, `.tex` and `.csv`; each whole or not at all."""
    parts = {".md": table.markdown() + "\n", ".tex": table.latex(name), ".csv": table.csv()}
    for suffix, text in parts.items():
        write_text(folder / (name + suffix), text)


def _markdown(cell: Cell) -> str:
    if isinstance(cell, Estimate):
        mean, low, high = cell.numbers
        return f"{mean} [{low}, {high}]{cell.note}"
    return f"**{cell}**" if isinstance(cell, Bold) else cell


def _latex(cell: Cell) -> str:
    if isinstance(cell, Estimate):
        mean, low, high = cell.numbers
        is_significant = isinstance(cell.interval, Comparison) and cell.interval.p_holm < SIGNIFICANT
        return rf"${mean}{'^{*}' if is_significant else ''}$ {{\scriptsize $[{low}, {high}]$}}"
    text = cell.translate(_LATEX)
    return rf"\textbf{{{text}}}" if isinstance(cell, Bold) else text


def _numbers(cell: Cell) -> dict[str, str]:
    """What a cell has for CSV, by the end of the column's name."""
    if not isinstance(cell, Estimate):
        return {"": cell}
    x = cell.interval
    return {k: f"{v:.6g}" for k, v in {"": x.mean, "low": x.low, "high": x.high, **cell.beside}.items()}
