"""Metrics by name."""

import pytest

from codec.extras import MissingDependencyError
from eval.metrics.base import Pair
from eval.metrics.registry import DEFAULT, METRICS, make_metric


def test_columns_have_keys_of_their_own():
    keys = []
    for name in METRICS:
        try:
            keys += [column.key for column in make_metric(name).columns]
        except MissingDependencyError:
            continue
    assert {"pesq_wb", "pesq_nb", "mel_dac", "si_sdr"} <= set(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", DEFAULT)
def test_a_metric_has_a_value_for_each_column(name, speech, noise):
    metric = make_metric(name)
    values = metric.measure(Pair(speech, speech + 0.1 * noise))
    assert len(values) == len(metric.columns)


def test_rates_reach_the_measure(speech, noise):
    """4 kHz mels are not 12 kHz mels."""
    x = speech, speech + 0.1 * noise
    assert make_metric("mel").measure(Pair(*x)) != make_metric("mel").measure(Pair(*x, sample_rate=8_000))


def test_metrics_are_kept():
    assert make_metric("stoi") is make_metric("stoi")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mos", "metric mos: unknown; there are pesq_wb "),
        ("stoi:fast", "metric stoi:fast: stoi takes no option"),
        ("dnsmos:fast", "metric dnsmos:fast: dnsmos takes no option"),
    ],
)
def test_what_is_not_there(spec, message):
    with pytest.raises(ValueError, match=message):
        make_metric(spec)
