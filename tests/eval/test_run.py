"""Runs: what is kept, what is measured again, and what happens to what cannot be measured."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import soxr
import torch

import eval.coding
import eval.score
from codec.extras import MissingDependencyError
from codec.recordings.utterance import Utterance
from eval import tables
from eval.metrics import registry
from eval.metrics.asr import asr_metric
from eval.metrics.base import Column, Metric
from eval.results import CODING, Results
from eval.run import evaluate
from eval.store import REFERENCE, file_of
from eval.systems.base import Coded

METRICS = ("mel", "estoi")


class Gain:
    """Multiplies by `gain`, `late` samples late; counts what it codes."""

    lag = None
    codebook_sizes = (8, 4)

    def __init__(self, gain=0.5, version="1", late=0):
        self.name, self.gain, self.version, self.late, self.n_coded = "gain", gain, version, late, 0

    def encode(self, waveform):
        if waveform.abs().max() < 0.01:
            raise ValueError("too quiet for this codec")
        self.n_coded += 1
        return Coded(1000.0, waveform, torch.arange(6).view(2, 3))

    def decode(self, coded):
        return torch.nn.functional.pad(self.gain * coded.data, (self.late, 0))


class InTime(Gain):
    lag = 0


@pytest.fixture
def recordings(tmp_path):
    speech = soundfile.read("tests/data/kathleen.flac", dtype="float32")[0]
    found = []
    for name, x in {"a": speech[:30_000], "b": speech[20_000:50_000]}.items():
        soundfile.write(tmp_path / f"{name}.wav", x, 24_000)
        found.append(Utterance(str(tmp_path / f"{name}.wav"), "some words", "someone", source="set", id=name))
    return found


def test_everything_is_kept(recordings, tmp_path):
    results = evaluate([InTime()], recordings, METRICS, tmp_path / "out")
    assert Results.load(tmp_path / "out") == results
    (system,) = results.systems
    assert system.values.keys() == {"mel", "estoi"}
    assert system.values["mel"].keys() == {"a", "b"}
    assert system.kbit_per_s == pytest.approx(2000 / (60_000 / 24_000) / 1000)
    assert system.codebook_sizes == (8, 4)
    assert system.encode_rtf > 0
    assert not system.failures
    assert results.recordings[0].text == "some words"
    reference, output = (
        soundfile.read(file_of(tmp_path / "out", "audio", name, "a"), dtype="float32")[0]
        for name in (REFERENCE, "gain")
    )
    np.testing.assert_allclose(output, 0.5 * reference, atol=2e-7)
    np.testing.assert_array_equal(np.load(file_of(tmp_path / "out", "codes", "gain", "a")), [[0, 1, 2], [3, 4, 5]])


def test_a_late_output_is_moved(recordings, tmp_path):
    (system,) = evaluate([Gain(late=1200)], recordings, METRICS, tmp_path / "out").systems
    assert system.lag_ms == pytest.approx(50, abs=0.5)
    assert system.mean("estoi").mean > 0.99


def test_what_is_known_is_not_measured_again(recordings, tmp_path, monkeypatch):
    first = evaluate([InTime()], recordings[:1], METRICS[:1], tmp_path / "out")
    for name in ("codings", "scores"):  # as if it had been killed while writing a line
        with (tmp_path / f"out/{name}.jsonl").open("a") as file:
            file.write('\n{"system": "ga')
    scored = []
    score_each = eval.score.score_each
    monkeypatch.setattr(
        eval.score, "score_each",
        lambda jobs, workers: score_each((scored.append((j.name, j.metrics)) or j for j in jobs), workers),
    )  # fmt: skip
    system = InTime()
    again = evaluate([system], recordings[:1], METRICS[:1], tmp_path / "out")
    assert (again, system.n_coded, scored) == (first, 0, [])
    evaluate([system], recordings, METRICS, tmp_path / "out")
    assert (system.n_coded, scored) == (1, [("a", ("estoi",)), ("b", METRICS)])


def test_what_changed_is_measured_again(recordings, tmp_path):
    means = []
    for version, gain in (("1", 0.5), ("2", 0.25), ("1", 0.5)):  # back to the first: its audio is no longer kept
        system = InTime(gain, version)
        means.append(evaluate([system], recordings, ["mel"], tmp_path / "out").systems[0].mean("mel").mean)
        assert system.n_coded == 2
    assert means[0] == pytest.approx(means[2])
    assert means[1] > means[0]
    soundfile.write(recordings[0].path, soundfile.read(recordings[0].path)[0][::-1], 24_000)
    evaluate([system], recordings, ["mel"], tmp_path / "out")
    assert system.n_coded == 3


@pytest.mark.parametrize("workers", [0, 1])
def test_failures_are_listed_and_tried_again(recordings, tmp_path, workers):
    soundfile.write(tmp_path / "mute.wav", np.zeros(30_000), 24_000)
    soundfile.write(tmp_path / "short.wav", np.full(2000, 0.1), 24_000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    bad = [Utterance(str(tmp_path / f"{name}.wav"), id=name) for name in ("mute", "short", "broken", "absent")]
    for _ in range(2):
        (system,) = evaluate([InTime()], [*recordings, *bad], METRICS, tmp_path / "out", workers).systems
        assert system.failures["mute"] == {CODING: "too quiet for this codec"}
        assert "0.4 s of speech" in system.failures["short"]["estoi"]
        assert "cannot be read as audio" in system.failures["broken"][CODING]
        assert "absent.wav: no such file" in system.failures["absent"][CODING]
        assert system.values["estoi"].keys() == {"a", "b"}
        assert system.values["mel"].keys() == {"a", "b", "short"}


def test_a_short_recording_does_not_hide_a_lag(recordings, tmp_path):
    soundfile.write(tmp_path / "short.wav", np.full(2000, 0.1), 24_000)
    short = Utterance(str(tmp_path / "short.wav"), id="short")
    (system,) = evaluate([Gain(late=480)], [short, *recordings], ["mel"], tmp_path / "out").systems
    assert (system.not_measured, system.lag_ms) == ("", 20)
    (system,) = evaluate([Gain(late=480)], [short], ["mel"], tmp_path / "other").systems
    assert system.not_measured.startswith("no lag found: STOI: 0.03 s")


def test_what_is_missing_is_said(recordings, tmp_path, monkeypatch):
    def needs_weights(option):
        raise MissingDependencyError("put weights there")

    monkeypatch.setitem(registry.METRICS, "heavy", needs_weights)
    monkeypatch.setenv("PATH", "/nowhere")
    results = evaluate(["codec2-2400", "nothing/there", InTime()], recordings, ["heavy", "mel"], tmp_path / "out")
    assert results.not_measured == {"heavy": "put weights there"}
    program, checkpoint, ours = results.systems
    assert program.not_measured == "c2enc not found: install the Debian package codec2"
    assert "nothing/there" in checkpoint.not_measured
    assert ours.mean("mel")
    assert not ours.not_measured
    assert json.loads((tmp_path / "out/results.json").read_text())["systems"][0]["means"] == {}


def test_an_unknown_metric_stops_before_work(recordings, tmp_path):
    with pytest.raises(ValueError, match="metric loudness: unknown"):
        evaluate([InTime()], recordings, ["loudness"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Hears:
    """Hears a word more in what is louder than `limit`."""

    version, sample_rate = "1", 24_000

    def __init__(self, limit):
        self.limit = limit

    def transcribe(self, waveform, language):
        return "two words" if abs(waveform).max() > self.limit else "words" if language != "nl" else "iets"


@pytest.fixture
def recognisers(monkeypatch):
    monkeypatch.setitem(registry.METRICS, "asr", lambda option: asr_metric(Hears(float(option or 0))))
    registry.make_metric.cache_clear()
    yield "asr", "asr:0.1"
    registry.make_metric.cache_clear()


def test_metrics_with_the_same_columns_have_their_own(recordings, tmp_path, recognisers):
    """Asked alone or together, in any order, and from kept scores."""
    first, second = recognisers
    expected = {first: 0.0, second: 0.5}
    for asked in ([first], [first, second, "mel"], [second, first, first], [second]):
        results = evaluate([InTime(0.25)], recordings, asked, tmp_path / "out")
        (system,) = results.systems
        for spec in set(asked) - {"mel"}:
            together = first in asked and second in asked
            key, title = (f"wer:{spec}", f"WER ({spec})") if together else ("wer", "WER")
            assert title in [c.title for c in results.columns if c.key == key]
            assert system.values[key] == dict.fromkeys("ab", expected[spec])
        assert len({c.key for c in results.columns}) == len(results.columns)
        assert system.values.keys() == {c.key for c in results.columns}


def test_another_language_is_scored_again(recordings, tmp_path, recognisers):
    for language, expected in (("", 0.5), ("nl", 1.0), ("", 0.5)):
        utterances = [replace(u, language=language) for u in recordings]
        (system,) = evaluate([InTime(0.25)], utterances, recognisers[1:], tmp_path / "out").systems
        assert system.values["wer"] == dict.fromkeys("ab", expected)


def test_recordings_are_copied_once_and_when_they_changed(recordings, tmp_path, monkeypatch):
    written = []
    keep = eval.coding.write_flac
    monkeypatch.setattr(eval.coding, "write_flac", lambda path, x: written.append(path.stem) or keep(path, x))

    def copied():
        written.clear()
        evaluate([], recordings, ["mel"], tmp_path / "out")
        return list(written)

    assert [copied(), copied()] == [["a", "b"], []]
    file_of(tmp_path / "out", "audio", REFERENCE, "b").unlink()
    assert copied() == ["b"]
    original = soundfile.read(recordings[0].path)[0]
    for samples in (original[::-1], original):
        soundfile.write(recordings[0].path, samples, 24_000)
        assert [copied(), copied()] == [["a"], []]
        kept = soundfile.read(file_of(tmp_path / "out", "audio", REFERENCE, "a"))[0]
        np.testing.assert_allclose(kept, samples, atol=2e-7)


@pytest.fixture
def outputs(recordings, tmp_path):
    """A folder with what something else made of the recordings: quieter, 50 ms late, at another rate."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    for r in recordings:
        x = np.pad(soundfile.read(r.path)[0], (1200, 0))
        soundfile.write(folder / f"{r.id}.flac", 0.5 * soxr.resample(x, 24_000, 48_000), 48_000)
    return folder


def test_outputs_made_elsewhere(recordings, tmp_path, outputs):
    (system,) = evaluate([f"files={outputs}"], recordings, METRICS, tmp_path / "out").systems
    assert not system.failures
    assert not system.not_measured
    assert system.lag_ms == pytest.approx(50, abs=0.5)
    assert system.mean("estoi").mean > 0.99
    assert (system.kbit_per_s, system.encode_rtf, system.decode_rtf) == (0, 0, 0)
    assert f"| files={outputs} | 2 | not measured |" in tables.markdown(Results.load(tmp_path / "out"))


def test_missing_outputs_are_failures_until_they_are_there(recordings, tmp_path, outputs):
    """Also where the search for the lag meets them first."""
    away = outputs / "a.flac"
    away.rename(tmp_path / "a.flac")
    (system,) = evaluate([f"files={outputs}"], recordings, METRICS, tmp_path / "out").systems
    assert system.failures.keys() == {"a"}
    assert f"{outputs}/a: no output for a" in system.failures["a"][CODING]
    assert system.values["mel"].keys() == {"b"}
    assert system.lag_ms == pytest.approx(50, abs=0.5)
    (tmp_path / "a.flac").rename(away)
    (system,) = evaluate([f"files={outputs}"], recordings, METRICS, tmp_path / "out").systems
    assert not system.failures
    assert system.values["mel"].keys() == {"a", "b"}


def test_when_all_outputs_are_missing_each_is_listed(recordings, tmp_path, outputs):
    for r in recordings:
        (outputs / f"{r.id}.flac").rename(outputs / f"{r.id}x.flac")
    (system,) = evaluate([f"files={outputs}"], recordings, METRICS, tmp_path / "out").systems
    assert system.not_measured == "every recording failed"
    assert system.failures.keys() == {"a", "b"}


def test_changed_outputs_are_scored_again(recordings, tmp_path, outputs):
    spec = f"files={outputs}"
    before = evaluate([spec], recordings, ["mel"], tmp_path / "out").systems[0].values["mel"]
    x, rate = soundfile.read(outputs / "a.flac")
    soundfile.write(outputs / "a.flac", 0.1 * x, rate)
    after = evaluate([spec], recordings, ["mel"], tmp_path / "out").systems[0].values["mel"]
    assert after["a"] > before["a"] + 0.1
    assert after["b"] == before["b"]


def test_a_new_version_of_a_metric_scores_again(recordings, tmp_path, monkeypatch):
    for version, value in (("1", 1.0), ("2", 2.0)):
        metric = Metric((Column("new", "new", True),), lambda pair, v=value: [v], version)
        monkeypatch.setitem(registry.METRICS, "new", lambda option, m=metric: m)
        registry.make_metric.cache_clear()
        (system,) = evaluate([InTime()], recordings, ["new"], tmp_path / "out").systems
        assert system.mean("new").mean == value
    registry.make_metric.cache_clear()
