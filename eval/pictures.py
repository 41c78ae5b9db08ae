"""Figures: spectrograms of two waveforms, quality over bitrate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from torch import Tensor

from codec.files import atomic_file
from eval.metrics.base import Column
from eval.results import Results, SystemResult

FFT_SIZE = 1024
FLOOR_DB = -80.0
FORMATS = (".png", ".svg", ".pdf")
DPI = 120  # of PNG


def spectrogram_pair(original: Tensor, reconstruction: Tensor, sample_rate: int) -> Figure:
    """Plot spectrograms of original and reconstruction, waveforms `[L]`, on the same scale in decibels."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    window = torch.hann_window(FFT_SIZE)
    levels = [  # padded with zeros, as mirroring needs more samples than a short clip has
        torch.stft(x.float(), FFT_SIZE, FFT_SIZE // 4, window=window, pad_mode="constant", return_complex=True)
        for x in (original, reconstruction)
    ]
    levels = [x.abs().clamp(min=1e-6).log10() for x in levels]
    top = 20 * float(levels[0].max())
    for axis, level, title in zip(axes, levels, ("original", "reconstruction"), strict=True):
        axis.imshow(
            20 * level.numpy(), origin="lower", aspect="auto", cmap="magma", vmin=top + FLOOR_DB, vmax=top,
            extent=(0, len(original) / sample_rate, 0, sample_rate / 2000),
        )  # fmt: skip
        axis.set(ylabel="kHz", title=title)
    axes[1].set(xlabel="s")
    return figure


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write STEM.png, and STEM.svg and STEM.pdf for print; each whole or not at all."""
    paths = [stem.with_name(stem.name + suffix) for suffix in FORMATS]
    for path in paths:
        with atomic_file(path) as new:
            figure.savefig(new, dpi=DPI)
    return paths


def scale_rates(axes: Axes) -> None:
    """Make the axis of bitrates logarithmic, with ticks that do not overlap."""
    axes.set(xscale="log", xlabel="kbit/s")
    low, high = axes.get_xlim()
    ticks = [digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5)]
    ticks = [tick for tick in ticks if low <= tick <= high]
    axes.xaxis.set_major_locator(FixedLocator(ticks) if len(ticks) >= 3 else MaxNLocator(5))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def rate_quality(results: Results, columns: Sequence[Column], kbit_per_s: tuple[float, float] = (0.1, 30.0)) -> Figure:
    """Plot each column over the bitrate, with 95% intervals; a model with several numbers of codebooks is one line.

    Args:
        results: of a run.
        columns: of the results, one panel each.
        kbit_per_s: range that is shown; higher rates would squeeze the rest.
    """
    figure = Figure(figsize=(5 * len(columns), 4), layout="constrained")
    FigureCanvasAgg(figure)
    low, high = kbit_per_s
    lines: dict[str, list[SystemResult]] = {}
    for system in results.systems:
        if not system.not_measured and low <= system.kbit_per_s <= high:
            lines.setdefault(system.family, []).append(system)
    for axis, column in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        for name, systems in lines.items():
            points = [(s.kbit_per_s, mean) for s in systems if (mean := s.mean(column.key))]
            points.sort(key=lambda point: point[0])
            rates, means = [rate for rate, _ in points], [mean for _, mean in points]
            bars = [[m.mean - m.low for m in means], [m.high - m.mean for m in means]]
            axis.errorbar(rates, [m.mean for m in means], bars, marker="o", markersize=4, capsize=2, label=name)
        axis.set(title=column.title)
        axis.grid(alpha=0.3)
        scale_rates(axis)
    if lines:
        figure.axes[0].legend()
    return figure
