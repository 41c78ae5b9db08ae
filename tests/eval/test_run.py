"""Runs: what is kept, what is measured again, and what happens to what cannot be measured."""

import json

import numpy as np
import pytest
import soundfile
import torch

import eval.run
from eval.baselines.base import Coded
from eval.metrics import registry
from eval.metrics.base import Column, Metric, MissingBackendError
from eval.results import CODING, REFERENCE, Results, file_of
from eval.run import evaluate
from eval.testsets import Utterance

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
    score_each = eval.run.score_each
    monkeypatch.setattr(
        eval.run, "score_each",
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


def test_what_is_missing_is_said(recordings, tmp_path, monkeypatch):
    def needs_weights(option):
        raise MissingBackendError("put weights there")

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


def test_a_new_version_of_a_metric_scores_again(recordings, tmp_path, monkeypatch):
    for version, value in (("1", 1.0), ("2", 2.0)):
        metric = Metric("new", (Column("new", "new", True),), lambda pair, v=value: [v], version)
        monkeypatch.setitem(registry.METRICS, "new", lambda option, m=metric: m)
        registry.make_metric.cache_clear()
        (system,) = evaluate([InTime()], recordings, ["new"], tmp_path / "out").systems
        assert system.mean("new").mean == value
    registry.make_metric.cache_clear()
