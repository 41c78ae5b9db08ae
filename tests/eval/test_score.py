"""Scores of many pairs, their failures, here and in workers."""

import numpy as np
import pytest
import soundfile

from eval.metrics import registry
from eval.metrics.base import Column, Metric, Pair
from eval.metrics.perceptual import estoi, pesq_wb
from eval.score import Job, columns_of, failures, score_each

METRICS = ("pesq_wb", "estoi", "mel")


@pytest.fixture(scope="module")
def speech():
    return soundfile.read("tests/data/kathleen.flac", dtype="float32")[0][:36_000]


@pytest.fixture(scope="module")
def noisy(speech):
    return speech + 0.01 * np.random.default_rng(0).standard_normal(len(speech), dtype=np.float32)


@pytest.fixture(scope="module")
def jobs(speech, noisy):
    outputs = {"same": speech, "silent": 0 * speech, "noisy": noisy}
    return [Job(name, Pair(speech, output), METRICS) for name, output in outputs.items()]


def test_what_cannot_be_judged_is_named_and_the_rest_is_judged(jobs, speech, noisy):
    scored = list(score_each(jobs))
    assert [s.name for s in scored] == ["same", "silent", "noisy"]
    (errors,) = failures(scored).values()
    assert list(errors) == ["pesq_wb", "estoi"]
    assert all(error.startswith("output: silent") for error in errors.values())
    columns = columns_of(scored)
    assert columns["pesq_wb"] == {"same": pesq_wb(speech, speech), "noisy": pesq_wb(speech, noisy)}
    assert columns["estoi"]["noisy"] == pytest.approx(estoi(speech, noisy))  # memory is aligned differently
    assert columns["mel"].keys() == {"same", "silent", "noisy"}


def test_workers_find_the_same(jobs):
    theirs, ours = list(score_each(jobs, workers=1)), list(score_each(jobs))
    assert [(s.name, s.errors) for s in theirs] == [(s.name, s.errors) for s in ours]
    for a, b in zip(theirs, ours, strict=True):  # FFTs of one thread and of several round differently
        for metric, values in a.values.items():
            assert values == pytest.approx(b.values[metric], rel=1e-6, abs=1e-9)


def test_jobs_are_taken_one_by_one(jobs):
    taken = []
    scored = score_each(taken.append(job.name) or job for job in jobs)
    next(scored)
    assert taken == ["same"]


def test_a_metric_of_several_columns(speech, monkeypatch):
    columns = (Column("low", "low", False), Column("high", "high", True))
    metric = Metric(columns, lambda pair: (pair.output.min(), pair.output.max()))
    monkeypatch.setitem(registry.METRICS, "range", lambda option: metric)
    (scored,) = score_each([Job("a", Pair(speech, speech), ("range",))])
    assert scored.values == {"range": {"low": float(speech.min()), "high": float(speech.max())}}


def test_what_is_not_a_number_is_no_score(speech, monkeypatch):
    metric = Metric((Column("odd", "odd", False),), lambda pair: [np.inf])
    monkeypatch.setitem(registry.METRICS, "odd", lambda option: metric)
    (scored,) = score_each([Job("a", Pair(speech, speech), ("odd",))])
    assert (scored.values, scored.errors) == ({}, {"odd": "odd: came out as [inf]"})


def test_unknown_metrics():
    with pytest.raises(ValueError, match=r"metric loudness: unknown; there are pesq_wb"):
        registry.make_metric("loudness")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.zeros(5, np.float32), "reference has 4 samples, output 5: align and cut"),
        (np.full(4, np.nan, np.float32), "output: has NaN"),
        (np.zeros(4, np.int16), "output: .* expected at least one float sample"),
        (np.zeros((4, 1), np.float32), r"output: .*\(4, 1\)"),
    ],
)
def test_pairs_that_do_not_fit(output, message):
    with pytest.raises(ValueError, match=message):
        Pair(np.zeros(4, np.float32), output)
