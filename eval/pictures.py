"""Spectrograms side by side, for people to look at."""

from __future__ import annotations

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

FFT_SIZE = 1024
FLOOR_DB = -80.0


def spectrogram_pair(original: Tensor, reconstruction: Tensor, sample_rate: int) -> Figure:
    """Original above reconstruction, waveforms `[L]`, on the same scale in decibels."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    window = torch.hann_window(FFT_SIZE)
    levels = [
        torch.stft(x.float(), FFT_SIZE, FFT_SIZE // 4, window=window, return_complex=True).abs().clamp(min=1e-6).log10()
        for x in (original, reconstruction)
    ]
    top = 20 * float(levels[0].max())
    for axis, level, title in zip(axes, levels, ("original", "reconstruction"), strict=True):
        axis.imshow(
            20 * level.numpy(), origin="lower", aspect="auto", cmap="magma", vmin=top + FLOOR_DB, vmax=top,
            extent=(0, len(original) / sample_rate, 0, sample_rate / 2000),
        )  # fmt: skip
        axis.set(ylabel="kHz", title=title)
    axes[1].set(xlabel="s")
    return figure
