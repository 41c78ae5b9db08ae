"""Distill-MOS with its own weights: better speech scores higher, and level does not matter."""

import sys

import pytest

from codec.extras import MissingDependencyError
from eval.metrics.base import Pair
from eval.metrics.distillmos import make_distillmos


def test_noise_lowers_it_and_level_does_not(speech, noise, capsys):
    pytest.importorskip("distillmos")
    metric = make_distillmos()
    assert capsys.readouterr().out == ""
    x = speech[:48_000]
    clean, quiet, noisy = (metric.measure(Pair(x, y))[0] for y in (x, 0.1 * x, x + noise[:48_000]))
    assert clean == pytest.approx(quiet, abs=1e-3)
    assert 5 > clean > 3.5 > noisy + 1 > 2
    with pytest.raises(ValueError, match="output: silent"):
        metric.measure(Pair(x, 0 * x))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distillmos", None)
    with pytest.raises(MissingDependencyError, match="pip install distillmos"):
        make_distillmos()
