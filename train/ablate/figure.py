"""Figure of a study: scores of the variants side by side, or over the bitrate if there are several."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eval.metrics.base import Column
from eval.pictures import scale_rates
from eval.tables import title
from train.ablate.result import StudyResult


def study_figure(result: StudyResult) -> Figure:
    """Plot a panel for each column: means with 95% intervals over recordings, and a dot for the mean of each seed."""
    over_rates = len({row.n_q for row in result.rows}) > 1
    height = 4.0 if over_rates else 1.5 + 0.4 * len(result.rows)
    figure = Figure(figsize=(4 * len(result.columns), height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(result.columns), squeeze=False, sharey=not over_rates)[0]
    for axes, column in zip(panels, result.columns, strict=True):
        (_over_rates if over_rates else _side_by_side)(axes, result, column)
        axes.grid(alpha=0.3)
    if over_rates:
        panels[0].legend()
    return figure


def _side_by_side(axes: Axes, result: StudyResult, column: Column) -> None:
    """Plot a row for each variant, the first on top, and a vertical line at the reference."""
    for y, row in enumerate(result.rows):
        if not (score := row.scores.get(column.key)):
            continue
        if row.variant == result.reference:
            axes.axvline(score.mean, color="gray", linestyle=":")
        bar = [[score.mean - score.low], [score.high - score.mean]]
        axes.errorbar([score.mean], [y], xerr=bar, marker="o", capsize=3, color="C0")
        axes.scatter(score.by_seed, [y + 0.2] * len(score.by_seed), s=10, color="C1")
    axes.set_yticks(range(len(result.rows)), [row.variant for row in result.rows])
    axes.set_ylim(len(result.rows) - 0.5, -0.5)
    axes.set(xlabel=_label(column))


def _over_rates(axes: Axes, result: StudyResult, column: Column) -> None:
    """Plot a curve for each variant."""
    for i, variant in enumerate(dict.fromkeys(row.variant for row in result.rows)):
        rows = [row for row in result.rows if row.variant == variant and column.key in row.scores]
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
