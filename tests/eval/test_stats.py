"""Confidence intervals and paired tests against closed forms and independent code."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from eval.stats import bootstrap, compare, holm


def test_bootstrap_brackets_the_mean_and_narrows():
    values = np.random.default_rng(0).normal(3.0, 1.0, 400)
    wide, narrow = bootstrap(values[:25]), bootstrap(values)
    for x in (wide, narrow):
        assert x.low < x.mean < x.high
    expected = 2 * 1.96 * values.std() / np.sqrt(len(values))  # the normal approximation
    assert narrow.high - narrow.low == pytest.approx(expected, rel=0.15)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert bootstrap(values) == narrow
    assert bootstrap(values, seed=1) != narrow
    assert (wide.n, narrow.n) == (25, 400)


def test_one_value_is_its_own_interval():
    x = bootstrap([0.5])
    assert x.low == x.mean == x.high == 0.5


@pytest.mark.parametrize("n", [4, 9, 13])
def test_exact_p_is_scipys(n):
    ours, theirs = np.random.default_rng(n).normal([[0.5], [0]], size=(2, n))
    expected = permutation_test(
        (ours, theirs), lambda a, b, axis: np.mean(a - b, axis), permutation_type="samples", vectorized=True
    )
    found = compare(ours, theirs)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.mean == pytest.approx((ours - theirs).mean())


def test_sampled_p_is_near_scipys():
    ours, theirs = np.random.default_rng(0).normal([[0.25], [0]], size=(2, 60))
    expected = permutation_test(
        (ours, theirs), lambda a, b, axis: np.mean(a - b, axis), permutation_type="samples", vectorized=True,
        n_resamples=50_000, rng=np.random.default_rng(1),
    )  # fmt: skip
    assert compare(ours, theirs).p == pytest.approx(expected.pvalue, abs=0.015)


def test_pairing_finds_what_spread_hides():
    """Recordings differ much more than systems do."""
    theirs = np.linspace(1, 4, 40)
    ours = theirs + 0.05 + 0.05 * np.sin(np.arange(40))
    assert compare(ours, theirs).p < 0.001
    assert bootstrap(ours).low < bootstrap(theirs).high


def test_alike_systems_and_none():
    assert compare([1.0, 2.0], [1.0, 2.0]).p == 1.0
    with pytest.raises(ValueError, match="0 and 0 values"):
        compare([], [])
    with pytest.raises(ValueError, match="1 and 2 values"):
        compare([1.0], [1.0, 2.0])


def test_holms_correction():
    """The example of R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
