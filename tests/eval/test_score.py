"""Scores of many pairs, their failures and their means."""

from dataclasses import asdict

import numpy as np
import pytest
import soundfile

from eval.score import Row, Scores, bootstrap, failures, score, score_all, score_each, summarize


@pytest.fixture(scope="module")
def speech():
    return soundfile.read("tests/data/kathleen.flac", dtype="float32")[0][:36_000]


@pytest.fixture(scope="module")
def pairs(speech):
    worse = speech + 0.01 * np.random.default_rng(0).standard_normal(len(speech), dtype=np.float32)
    return [("same", speech, speech), ("silent", speech, 0 * speech), ("noisy", speech, worse)]


def test_failures_are_listed_and_left_out_of_means(pairs):
    rows = score_all(pairs)
    assert [row.name for row in rows] == ["same", "silent", "noisy"]
    assert failures(rows) == {"silent": "output: silent"}
    means = summarize(rows)
    assert list(means) == ["pesq", "stoi", "estoi", "mel", "stft"]
    same, noisy = rows[0].scores, rows[2].scores
    assert means["pesq"].mean == pytest.approx((same.pesq + noisy.pesq) / 2)
    assert same.pesq > noisy.pesq
    assert same == score(*pairs[0][1:])


def test_workers_give_the_same_rows(pairs):
    theirs, ours = score_all(pairs, workers=1), score_all(pairs)
    assert [(row.name, row.error) for row in theirs] == [(row.name, row.error) for row in ours]
    for a, b in zip(theirs, ours, strict=True):  # FFTs of one thread and of several round differently
        assert (a.scores and asdict(a.scores)) == (b.scores and pytest.approx(asdict(b.scores), rel=1e-6))


def test_pairs_are_taken_one_by_one(pairs):
    taken = []
    rows = score_each(taken.append(pair[0]) or pair for pair in pairs)
    next(rows)
    assert taken == ["same"]


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


def test_summaries_of_one_and_of_none():
    row = Row("a", Scores(2.0, 0.9, 0.8, 0.5, 1.5))
    assert summarize([row])["mel"].low == summarize([row])["mel"].high == 0.5
    assert summarize([Row("b", None, "broken")]) == {}
