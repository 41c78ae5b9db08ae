"""Blind tests: what the page knows, what only the key knows, and that both belong together."""

import io
import json

import numpy as np
import pytest
import soundfile

from eval.listen.trials import LOW_ANCHOR, flac, make_test
from eval.results import Results
from eval.store import file_of

SYSTEMS = ["model", "model:2", "opus-6"]


def decoded(sound):
    return soundfile.read(io.BytesIO(sound), dtype="float32")[0]


def original(run, system, recording):
    return soundfile.read(file_of(run, "audio", system, recording), dtype="float32")[0]


def test_mushra(run):
    test = make_test(run, "mushra", SYSTEMS, 4)
    assert sorted(t.recording for t in test.key.trials) == sorted(r.id for r in Results.load(run).recordings)
    for trial, shown in zip(test.key.trials, test.data["trials"], strict=True):
        assert set(trial.stimuli.values()) == {*SYSTEMS, "reference", LOW_ANCHOR}
        assert shown["stimuli"] == sorted(trial.stimuli)
        assert shown["reference"] not in trial.stimuli
        for name, system in trial.stimuli.items():
            if system != LOW_ANCHOR:
                expected = original(run, system, trial.recording)
                assert np.abs(decoded(test.sounds[name]) - expected).max() <= 2**-15
        hidden = next(name for name, system in trial.stimuli.items() if system == "reference")
        assert test.sounds[hidden] == test.sounds[shown["reference"]]
    names = [name for trial in test.key.trials for name in trial.stimuli]
    assert len(set(names)) == len(names) == 20


def test_a_few_recordings_are_a_test_of_as_many_trials(run):
    assert len(make_test(run, "mushra", SYSTEMS).key.trials) == 4
    assert len(make_test(run, "abx", SYSTEMS[:2]).key.trials) == 16


def test_the_run_may_have_a_low_anchor(run):
    (trial,) = make_test(run, "mushra", ["model", "lowpass-8k"], 1).key.trials
    assert set(trial.stimuli.values()) == {"model", "lowpass-8k", "reference"}


def test_abx(run):
    test = make_test(run, "abx", ["reference", "model"])
    assert len(test.key.trials) == 16
    for trial, shown in zip(test.key.trials, test.data["trials"], strict=True):
        same = [name for name in trial.stimuli if test.sounds[name] == test.sounds[shown["x"]]]
        assert same == [trial.answer]
        assert shown["x"] not in trial.stimuli
    assert len({trial.stimuli[trial.answer] for trial in test.key.trials}) == 2


def test_the_page_is_blind(run):
    test = make_test(run, "mushra", SYSTEMS, 4)
    known = json.dumps(test.data) + " ".join(test.sounds)
    for secret in (*SYSTEMS, LOW_ANCHOR, "opus", "b/1"):
        assert secret not in known
    assert list(test.sounds) == sorted(test.sounds)


def test_a_seed_is_a_test(run):
    one, same, other = (make_test(run, "mushra", SYSTEMS, 2, seed) for seed in (1, 1, 2))
    assert (one.key, one.data, one.sounds) == (same.key, same.data, same.sounds)
    assert one.key.test != other.key.test
    assert {*one.sounds}.isdisjoint(other.sounds)


def test_recordings_that_a_system_lacks_are_left_out(run):
    file_of(run, "audio", "model", "ü").unlink()
    trials = make_test(run, "mushra", SYSTEMS, 3).key.trials
    assert sorted(t.recording for t in trials) == ["a", "b/1", "c"]


@pytest.mark.parametrize(
    ("kind", "systems", "n", "message"),
    [
        ("mushra", ["model", "nothing"], 2, "no system nothing; there are opus-6 model:2"),
        ("mushra", ["reference"], 2, "no system reference"),
        ("mushra", ["model", "model"], 2, "given twice"),
        ("mushra", ["model"], 5, "5 trials: .* keeps the audio of 4 recordings"),
        ("mushra", ["model"], 0, "0 trials"),
        ("mushra", ["absent"], 1, "audio of 0 recordings"),
        ("abx", ["model"], 2, "compares two"),
    ],
)
def test_what_cannot_be_made(run, kind, systems, n, message):
    with pytest.raises(ValueError, match=message):
        make_test(run, kind, systems, n)


def test_loud_samples_are_clipped():
    assert np.abs(decoded(flac(np.array([1.5, -1.5, 0.5], np.float32)))).max() <= 1
