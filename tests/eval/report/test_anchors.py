"""Metrics that rank what is known to be better below what is known to be worse."""

import pytest

from eval.metrics.base import Column
from eval.report.anchors import misorders
from eval.results import Recording, Results, SystemResult

UP, DOWN = Column("up", "Up", True), Column("down", "Down", False)


def results(column, **values):
    systems = [SystemResult(n.replace("_", "-"), values={column.key: dict(zip("ab", v, strict=True))})
               for n, v in values.items()]  # fmt: skip
    return Results([Recording("a", 1.0), Recording("b", 1.0)], [column], systems)


def found(column, **values):
    return [(m.column, m.better, m.worse) for m in misorders(results(column, **values))]


def test_good_orders():
    bands = {"lowpass_8k": (1, 2), "lowpass_12k": (2, 3), "lowpass_16k": (3, 4)}
    assert found(UP, codec=(9, 4), identity=(9, 9), **bands) == []
    assert found(DOWN, codec=(1, 4), identity=(0, 0), lowpass_8k=(3, 4), lowpass_12k=(1, 1)) == []


@pytest.mark.parametrize(("column", "value"), [(UP, 5), (DOWN, -5)])
def test_identity_is_beaten(column, value):
    assert found(column, codec=(value, value), identity=(0, 0)) == [(column.key, "identity", "codec")]


def test_bands_in_the_wrong_order_or_alike():
    assert found(UP, lowpass_8k=(3, 3), lowpass_12k=(1, 2), lowpass_16k=(1, 2)) == [
        ("up", "lowpass-12k", "lowpass-8k"),
        ("up", "lowpass-16k", "lowpass-12k"),
    ]
    assert found(UP, lowpass_8k=(3, 3), lowpass_16k=(1, 2)) == [("up", "lowpass-16k", "lowpass-8k")]


def test_a_tie_with_the_untouched_is_fine():
    assert found(UP, identity=(1, 1), lossless=(1, 1)) == []


def test_size_of_the_error():
    (misorder,) = misorders(results(UP, codec=(3, 4), identity=(1, 3)))
    assert (misorder.difference.mean, misorder.difference.n) == (-1.5, 2)


def many(values):
    """Of eight recordings, 2 sign patterns of 256 are as far from 0 as when all differences have one sign."""
    return {str(i): float(x) for i, x in enumerate(values)}


@pytest.mark.parametrize(
    ("differences", "is_significant"),
    [
        ([1, 2, 3, 1, 2, 3, 1, 2], True),
        ([1, 2, 3, 1, 2, 3, 1, -4], False),  # p is 0.14
        ([1, 1, 1], False),  # three recordings can prove nothing
        ([3, -2, 1, -3, 2, -1, 0, 1], False),
    ],
)
def test_only_a_significant_error_is_the_metrics(differences, is_significant):
    zeros = [0.0] * len(differences)
    systems = [
        SystemResult("identity", values={"up": many(zeros)}),
        SystemResult("x", values={"up": many(differences)}),
    ]
    (misorder,) = misorders(Results([], [UP], systems))
    assert misorder.difference.mean < 0
    assert misorder.is_significant == is_significant


def test_bands_alike_are_no_proof():
    (misorder,) = misorders(results(UP, lowpass_8k=(3, 3), lowpass_12k=(3, 3)))
    assert not misorder.is_significant


def test_nothing_to_compare():
    assert found(UP, codec=(1, 1), mulaw=(2, 2)) == []
    empty = results(UP, identity=(1, 1), codec=(2, 2))
    empty.systems[1].values = {}
    assert misorders(empty) == []
