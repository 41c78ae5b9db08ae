"""`python -m train.curves RUN... --out FILE`: draw what runs have logged over their steps, as PNG, SVG and PDF.

A run may still be going on. Runs of which each went on from the one before are one line with `--chain`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eval.command import command, reports_errors
from eval.pictures import save_figure
from train.log import METRICS, read_metrics

Lines = list[dict[str, float]]
N_COLUMNS = 3  # panels side by side


def chain(runs: Sequence[Lines]) -> tuple[Lines, list[int]]:
    """Join the lines of runs that went on from each other; also the steps at which the later ones begin."""
    lines, starts = list(runs[0]), []
    for run in runs[1:]:
        starts.append(int(lines[-1]["step"]))
        lines += [line | {"step": line["step"] + starts[-1]} for line in run]
    return lines, starts


def learning_curves(runs: dict[str, Lines], metrics: Sequence[str], starts: Sequence[int] = ()) -> Figure:
    """Plot metrics over steps, one panel each, with a line for each run.

    Args:
        runs: lines of `read_metrics` by name.
        metrics: names, as logged.
        starts: steps to mark.
    """
    n_columns = min(N_COLUMNS, len(metrics))
    n_rows = -(-len(metrics) // n_columns)
    figure = Figure(figsize=(5 * n_columns, 3.5 * n_rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True).flat
    for axis, metric in zip(panels, metrics, strict=False):
        for name, lines in runs.items():
            points = [(line["step"], line[metric]) for line in lines if metric in line]
            axis.plot(*zip(*points, strict=True) if points else ([], []), label=name)
        for start in starts:
            axis.axvline(start, color="0.7", linestyle=":")
        axis.set(title=metric, xlabel="step")
        axis.grid(alpha=0.3)
    for axis in figure.axes[len(metrics) :]:
        axis.remove()
    if len(runs) > 1:
        figure.axes[0].legend()
    return figure


@reports_errors
def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    runs = {folder.as_posix(): read_metrics(folder) for folder in args.runs}
    logged = {name: None for lines in runs.values() for line in lines for name in line if name != "step"}
    for folder, lines in runs.items():
        if not lines:
            raise ValueError(f"{folder}/{METRICS}: nothing is logged yet")
    if unknown := [name for name in args.metrics if name not in logged]:
        raise ValueError(f"--metrics {unknown[0]}: the runs have {', '.join(logged)}")
    metrics = args.metrics or [name for name in logged if name.startswith("valid/")] or [*logged]
    starts: list[int] = []
    if args.chain:
        lines, starts = chain([*runs.values()])
        runs = {" → ".join(runs): lines}
    for path in save_figure(learning_curves(runs, metrics, starts), args.out):
        print(path)
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command("train.curves", __doc__, out="the files without their endings, .png, .svg and .pdf")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs")
    parser.add_argument(
        "--metrics", nargs="+", default=[], metavar="NAME", help="as in metrics.jsonl; default: all of validation"
    )
    parser.add_argument("--chain", action="store_true", help="each run went on from the one before")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
