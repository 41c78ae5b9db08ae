"""Pictures that say what the numbers say."""

import itertools

import pytest
import torch

from codec.audio.io import read_audio
from eval.metrics.base import Column
from eval.pictures import rate_quality, save_figure, spectrogram_pair
from eval.results import Recording, Results, SystemResult


def system(name, rate, value):
    return SystemResult(name, kbit_per_s=rate, values={"m": {"a": value, "b": value + 1}} if value else {})


def test_points_are_means_over_rates_and_models_are_lines():
    rates = [("x", 2.0, 3.0), ("x:5", 1.0, 2.0), ("opus-6", 6.0, 4.0), ("opus-9", 9.0, 5.0), ("identity", 384.0, 9.0)]
    systems = [*(system(*values) for values in rates), system("y", 3.0, None)]
    columns = [Column("m", "M", True)]
    figure = rate_quality(Results([Recording("a", 1.0), Recording("b", 1.0)], columns, systems), columns)
    lines = {c.get_label(): c.lines[0] for c in figure.axes[0].containers}
    assert lines.keys() == {"x", "opus", "y"}
    assert lines["x"].get_xydata().tolist() == [[1.0, 2.5], [2.0, 3.5]]
    assert lines["opus"].get_xydata()[:, 1].tolist() == pytest.approx([4.5, 5.5])
    assert not len(lines["y"].get_xydata())


@pytest.mark.parametrize("rates", [(0.1, 29.0), (0.2, 3.0), (0.7, 2.2), (1.5, 2.4), (2.1, 2.16), (6.0, 9.0), (2.16,)])
def test_numbers_of_the_bitrate_do_not_touch(rates):
    """Over decades and within one, and of a single system."""
    columns = [Column("m", "M", True)]
    systems = [system(f"x:{i + 1}", rate, 1.0) for i, rate in enumerate(rates)]
    figure = rate_quality(Results([Recording("a", 1.0), Recording("b", 1.0)], columns, systems), columns)
    figure.canvas.draw()
    axis, (low, high) = figure.axes[0].xaxis, figure.axes[0].get_xlim()
    assert not any(tick.label1.get_text() for tick in axis.get_minor_ticks())
    shown = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = sorted(label.get_window_extent().extents.tolist() for label in shown if label.get_text())
    assert len(boxes) >= 2
    assert all(left[2] + 4 < right[0] for left, right in itertools.pairwise(boxes))


def test_figures_for_screen_and_print(tmp_path):
    figure = rate_quality(Results([], [], []), [Column("m", "M", True)])
    paths = save_figure(figure, tmp_path / "a.b")
    assert [path.name for path in paths] == ["a.b.png", "a.b.svg", "a.b.pdf"]
    starts = [b"\x89PNG", b"<?xml", b"%PDF"]
    assert [path.read_bytes().startswith(start) for path, start in zip(paths, starts, strict=True)] == [True] * 3


def test_nothing_to_show():
    assert rate_quality(Results([], [], []), [Column("m", "M", True)]).axes


@pytest.mark.parametrize("n_samples", [1, 240, 511, 512, 513, 1920])
def test_spectrograms_of_short_clips(n_samples):
    """As of a validation set with a clip of half a window; the time axis has the clip's length."""
    clip = torch.sin(torch.arange(n_samples).float())
    figure = spectrogram_pair(clip, clip[: n_samples - 1] if n_samples > 1 else clip, 24_000)
    figure.canvas.draw()
    assert [axes.images[0].get_extent()[1] for axes in figure.axes] == [n_samples / 24_000] * 2


def test_spectrogram_of_a_clip_from_the_field():
    clip = read_audio("tests/field/short512.wav", None, 24_000)
    spectrogram_pair(clip, torch.zeros_like(clip), 24_000).canvas.draw()
