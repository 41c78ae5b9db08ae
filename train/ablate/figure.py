"""The figure of a study: every variant's scores beside each other, or over the bitrate if it has several."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eval.metrics.base import Column
from eval.pictures import scale_rates
from eval.tables import title
from train.ablate.outcome import Outcome


def study_figure(found: Outcome) -> Figure:
    """A panel for each column: means with 95% intervals over recordings, and dots for the means of single seeds."""
    over_rates = len({row.n_q for row in found.rows}) > 1
    height = 4.0 if over_rates else 1.5 + 0.4 * len(found.rows)
    figure = Figure(figsize=(4 * len(found.columns), height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(found.columns), squeeze=False, sharey=not over_rates)[0]
    for axes, column in zip(panels, found.columns, strict=True):
        (_over_rates if over_rates else _side_by_side)(axes, found, column)
        axes.grid(alpha=0.3)
    if over_rates:
        panels[0].legend()
    return figure


def _side_by_side(axes: Axes, found: Outcome, column: Column) -> None:
    """A line of the panel for each variant, the first on top; an upright line at the reference."""
    for y, row in enumerate(found.rows):
        if not (score := row.scores.get(column.key)):
            continue
        if row.variant == found.reference:
            axes.axvline(score.mean, color="gray", linestyle=":")
        bar = [[score.mean - score.low], [score.high - score.mean]]
        axes.errorbar([score.mean], [y], xerr=bar, marker="o", capsize=3, color="C0")
        axes.scatter(score.by_seed, [y + 0.2] * len(score.by_seed), s=10, color="C1")
    axes.set_yticks(range(len(found.rows)), [row.variant for row in found.rows])
    axes.set_ylim(len(found.rows) - 0.5, -0.5)
    axes.set(xlabel=_label(column))


def _over_rates(axes: Axes, found: Outcome, column: Column) -> None:
    """A curve for each variant."""
    for i, variant in enumerate(dict.fromkeys(row.variant for row in found.rows)):
        rows = [row for row in found.rows if row.variant == variant and column.key in row.scores]
        rows.sort(key=lambda row: row.cost.kbit_per_s)
        rates, scores = [row.cost.kbit_per_s for row in rows], [row.scores[column.key] for row in rows]
        bars = [[s.mean - s.low for s in scores], [s.high - s.mean for s in scores]]
        axes.errorbar(rates, [s.mean for s in scores], bars, marker="o", capsize=2, color=f"C{i}", label=variant)
        for rate, score in zip(rates, scores, strict=True):
            axes.scatter([rate] * len(score.by_seed), score.by_seed, s=8, color=f"C{i}", alpha=0.6)
    axes.set(title=_label(column))
    scale_rates(axes)


def _label(column: Column) -> str:
    return f"{title(column)}, {'more' if column.higher_is_better else 'less'} is better"
