"""Ranking: the better of two speeches is the better one, whatever cannot be judged is last, and ties make no pair."""

import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics.base import Column, Metric, SynthesisPair
from eval.metrics.registry import make_metric
from train.data.pairs.ranking import LOUDNESS, Measure, choose, level_spread, make_measures


def make_measure(key, higher_is_better, weight):
    column = Column(key, key, higher_is_better)
    return Measure(Metric(key, (column,), lambda pair: [0.0]), column, weight)


MEASURES = {"cer": make_measure("cer", False, 2.0), "speaker_sim": make_measure("speaker_sim", True, 1.0)}
SCORE = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
CANDIDATES = st.lists(st.fixed_dictionaries({"cer": SCORE, "speaker_sim": SCORE}), min_size=2, max_size=5)


@pytest.fixture
def fresh():
    """Metrics are kept; not beyond these tests, which change what they find."""
    make_metric.cache_clear()
    yield
    make_metric.cache_clear()


def scores(*rows):
    return [{"cer": cer, "speaker_sim": similarity} for cer, similarity in rows]


def test_few_errors_in_the_right_voice_win():
    assert choose(MEASURES, scores((0.5, 0.6), (0.1, 0.8), (0.9, 0.2), (0.2, 0.7)), [True] * 4) == (1, 2)


def test_a_winner_has_no_more_errors_than_the_loser():
    light = {**MEASURES, "cer": make_measure("cer", False, 0.5)}
    assert choose(MEASURES, scores((0.1, 0.2), (0.2, 0.9)), [True, True]) == (0, 1)
    assert choose(light, scores((0.1, 0.2), (0.2, 0.9)), [True, True]) is None
    assert choose(light, scores((0.1, 0.2), (0.1, 0.9)), [True, True]) == (1, 0)


def test_ties_make_no_pair():
    assert choose(MEASURES, scores((0.1, 0.9), (0.1, 0.9), (0.1, 0.9)), [True] * 3) is None
    one = {"speaker_sim": MEASURES["speaker_sim"]}
    assert choose(one, [{"speaker_sim": 0.5}] * 2, [True, True]) is None


def test_speeches_that_were_cut_only_lose():
    rows = scores((0.0, 0.9), (0.5, 0.5), (0.6, 0.4))
    assert choose(MEASURES, rows, [False, True, True]) == (1, 2)
    assert choose(MEASURES, rows, [True, True, False]) == (0, 2)
    assert choose(MEASURES, rows, [False, False, False]) is None


def test_what_cannot_be_judged_is_last():
    assert choose(MEASURES, scores((0.1, None), (0.1, 0.1)), [True, True]) == (1, 0)
    assert choose(MEASURES, scores((None, 0.9), (0.9, 0.1)), [True, True]) == (1, 0)
    assert choose(MEASURES, scores((None, 0.9), (None, 0.1)), [True, True]) is None, "no winner without its errors"


@settings(deadline=None)
@given(CANDIDATES)
def test_the_choice_keeps_its_promises(rows):
    chosen = choose(MEASURES, rows, [True] * len(rows))
    if chosen is not None:
        w, l = chosen
        assert rows[w]["cer"] is not None
        assert rows[l]["cer"] is None or rows[w]["cer"] <= rows[l]["cer"]
        assert rows[w] != rows[l]
    backwards = choose(MEASURES, rows[::-1], [True] * len(rows))
    assert (chosen is None) == (backwards is None)


def test_a_measure_is_one_column_of_its_metric():
    columns = (Column("wer", "WER", False), Column("cer", "CER", False))
    metric = Metric(columns, lambda pair: [0.5, float(pair.output.mean())])
    speech = SynthesisPair(torch.ones(10), torch.full((4,), 0.25), 24_000, "one two", "en")
    assert Measure(metric, columns[1], 1.0).score(speech) == 0.25


def test_what_a_metric_cannot_judge_has_no_score():
    def measure(pair):
        raise ValueError("too short")

    column = Column("cer", "CER", False)
    assert Measure(Metric((column,), measure), column, 1.0).score(SynthesisPair(torch.ones(1), torch.ones(1))) is None


def test_measures_are_found_by_name():
    for package in ("pocketsphinx", "resemblyzer", "speechmos", "onnxruntime"):
        pytest.importorskip(package)
    measures = make_measures({"loudness": 0.5}, "", "")
    found = {name: (m.column.key, m.weight) for name, m in measures.items()}
    assert found == {
        "cer": ("cer", 2.0),
        "speaker_sim": ("speaker_sim", 1.0),
        "loudness": ("loudness", 0.5),
        "dnsmos_ovrl": ("dnsmos_ovrl", 1.0),
    }


def test_missing_packages_are_named_and_left_out(fresh, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    monkeypatch.setitem(sys.modules, "speechmos", None)
    assert list(make_measures({"speaker_sim": 0}, "pocketsphinx", "")) == ["loudness"]
    errors = capsys.readouterr().err
    assert "cer is left out: asr:pocketsphinx needs pocketsphinx" in errors
    assert "dnsmos_ovrl is left out" in errors
    with pytest.raises(ValueError, match="no measure is left"):
        make_measures({"speaker_sim": 0, "loudness": 0}, "pocketsphinx", "")


def test_bad_weights_and_options_are_named():
    with pytest.raises(ValueError, match="weights: wer unknown; there are cer, speaker_sim"):
        make_measures({"wer": 1}, "", "")
    for bad in (-1.0, math.nan):
        with pytest.raises(ValueError, match="expected 0 or more"):
            make_measures({"cer": bad}, "", "")
    with pytest.raises(ValueError, match="asr:kaldi: unknown"):
        make_measures({}, "kaldi", "")


def test_the_spread_of_levels_by_hand():
    quiet, loud = torch.full((24_000,), 0.1), torch.full((24_000,), 0.2)
    assert level_spread(loud, 24_000) == pytest.approx(0)
    # Nine pieces of each, and one half and half, whose level is between them.
    levels = torch.tensor([0.1] * 9 + [(0.5 * 0.01 + 0.5 * 0.04) ** 0.5] + [0.2] * 9).log10() * 20
    both = torch.cat([quiet, loud])
    assert level_spread(both, 24_000) == pytest.approx(float(levels.std(correction=0)), rel=1e-4)
    assert level_spread(0.01 * both, 24_000) == pytest.approx(level_spread(both, 24_000)), "whatever the level"
    paused = torch.cat([loud, torch.zeros(24_000), loud])
    assert level_spread(paused, 24_000) < 2, "pauses do not count"


def test_loudness_is_to_be_as_steady_as_the_voice():
    steady = torch.randn(48_000)
    wavering = steady * torch.linspace(0.2, 1, 48_000)
    measure = Measure(LOUDNESS, LOUDNESS.columns[0], 1.0)
    for voice, other in ((steady, wavering), (wavering, steady)):
        own, others = (measure.score(SynthesisPair(voice, speech)) for speech in (voice, other))
        assert own == 0 < 2 < others
    assert measure.score(SynthesisPair(steady, torch.zeros(48_000))) is None
    assert measure.score(SynthesisPair(steady, torch.ones(100))) is None
