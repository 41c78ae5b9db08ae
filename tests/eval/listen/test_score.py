"""Scores of known answers, listeners that are not counted, and how often guessing does as well."""

import json

import numpy as np
import pytest

from eval.listen.answers import Answers
from eval.listen.key import Key, Trial
from eval.listen.score import abx_choices, bootstrap_both, main, mushra_scores, post_screen

N = 10
MUSHRA = Key("mushra", "m", tuple(Trial(f"t{i}", "a", {f"r{i}": "reference", f"s{i}": "good"}) for i in range(N)))
ABX = Key("abx", "m", tuple(Trial(f"t{i}", "a", {"x": "one", "y": "two"}, "xy"[i % 2]) for i in range(N)))


def rated(listener, references, score):
    return Answers(listener, {f"t{i}": {f"r{i}": r, f"s{i}": score} for i, r in enumerate(references)})


def chosen(listener, n_correct):
    wrong = {"x": "y", "y": "x"}
    return Answers(listener, {
        t.id: t.answer if i < n_correct else wrong[t.answer] for i, t in enumerate(ABX.trials)
    })  # fmt: skip


def test_scores_are_means_over_listeners_and_trials():
    scores = mushra_scores(MUSHRA, [rated("Ann", [100] * N, 40), rated("Bob", [95] * N, 60)])
    assert list(scores) == ["reference", "good"]
    assert (scores["good"].mean, scores["reference"].mean) == (50, 97.5)
    assert (scores["good"].low, scores["good"].high) == (40, 60)  # two listeners say little, whatever the trials
    assert scores["good"].n == 20


def test_intervals_are_those_of_independent_ratings_where_they_are_independent():
    values = np.random.default_rng(0).normal(50, 10, (30, 30))
    x = bootstrap_both(values)
    assert x.low < x.mean < x.high
    assert x.mean == pytest.approx(values.mean())
    assert 2 * 1.96 * 10 / 30 < x.high - x.low < 2 * 2 * 1.96 * 10 / 30  # somewhat careful


def test_a_bias_of_listeners_widens_the_interval():
    noise = np.random.default_rng(0).normal(0, 1, (8, 20))
    biased = noise + np.linspace(-20, 20, 8)[:, None]
    assert bootstrap_both(biased).high - bootstrap_both(biased).low > 10
    assert bootstrap_both(biased.T).high == pytest.approx(bootstrap_both(biased).high, abs=3)


def test_post_screening_is_beyond_15_percent():
    missed_once = rated("once", [89] + [90] * 9, 0)
    missed_twice = rated("twice", [89, 0] + [100] * 8, 0)
    assert post_screen(MUSHRA, [missed_once, missed_twice]) == {
        "twice": "rated the hidden reference below 90 in 2 of 10 trials"
    }


@pytest.mark.parametrize(("correct", "p"), [(10, 1 / 1024), (9, 11 / 1024), (5, 638 / 1024), (0, 1.0)])
def test_guessing(correct, p):
    x = abx_choices(ABX, [chosen("Ann", correct)])
    assert (x.n, x.correct, x.p) == (10, correct, pytest.approx(p))


@pytest.fixture
def save(tmp_path):
    def save(key, *answers):
        key.save(tmp_path / "key.json")
        paths = [tmp_path / f"{i}.json" for i in range(len(answers))]
        for path, a in zip(paths, answers, strict=True):
            path.write_text(json.dumps({"test": key.test, "listener": a.listener, "answers": a.by_trial}))
        return [str(p) for p in (tmp_path / "key.json", *paths)]

    return save


def test_mushra_command(save, capsys):
    assert main(save(MUSHRA, rated("Ann", [100] * N, 40), rated("Bob", [10] * N, 99))) == 0
    out = capsys.readouterr().out
    assert "not counted: Bob: rated the hidden reference below 90 in 10 of 10 trials" in out
    assert "1 listeners, 10 trials" in out
    assert "| good | 40.0 | [40.0, 40.0] |" in out


def test_nobody_is_left(save, capsys):
    assert main(save(MUSHRA, rated("Bob", [10] * N, 99))) == 0
    assert "0 listeners" in capsys.readouterr().out


def test_abx_command(save, capsys):
    assert main(save(ABX, chosen("Ann", 10), chosen("Bob", 5))) == 0
    out = capsys.readouterr().out
    assert "one and two told apart" in out
    assert "| Ann | 10 of 10 | 100% | 0.0010 |" in out
    assert "| all | 15 of 20 | 75% | 0.0207 |" in out


def test_bad_files_are_named_and_the_rest_is_scored(save, tmp_path, capsys):
    arguments = save(ABX, chosen("Ann", 10), chosen("Ann", 9), chosen("Bob", 0))
    (tmp_path / "2.json").write_text("{}")
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert "1.json: answers of Ann, as in" in err
    assert "2.json: " in err
    assert "| all | 10 of 10 |" in out
    assert main([str(tmp_path / "2.json"), arguments[1]]) == 2
    assert "expected a listen.key.json" in capsys.readouterr().err
