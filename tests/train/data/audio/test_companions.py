"""Companions: the pitch is the voice's, at the right moment; only what is new is made; what is missing is named."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_whisper import save_teacher

from codec.config import preset
from codec.recordings.manifest import read_manifest
from codec.recordings.utterance import Utterance
from train.data.audio.companions import (
    Companion,
    companion_path,
    find_pitch,
    read_companion,
    require_companions,
    resample_pitch,
    write_companions,
)
from train.losses.distill import DistillConfig, make_distillation

RATE = 24_000
DATA = Path(__file__).parents[3] / "data"


def voice(f0):
    """Six falling harmonics of a pitch `[L]` in Hz."""
    cycles = np.cumsum(f0) / RATE
    return sum(np.cos(2 * np.pi * k * cycles) / k for k in range(1, 7)).astype(np.float32) / 5


def cents(f0, expected):
    return 1200 * np.abs(np.log2(f0 / expected))


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return save_teacher(tmp_path_factory.mktemp("models") / "tiny", 6)


@pytest.mark.parametrize("length", [48_000, 47_900, 48_001])
def test_pitch_is_in_the_middle_of_each_10_ms(length):
    glide = np.linspace(100, 300, length)
    f0 = find_pitch(voice(glide), RATE)
    assert f0.dtype == np.float32
    assert len(f0) == -(-length // 240)
    middles = ((np.arange(len(f0)) + 0.5) * 240).astype(int)
    assert (f0[5:-5] > 0).all()
    assert cents(f0[5:-5], glide[middles[5:-5]]).max() < 5  # half a hop is 9


def test_no_pitch_where_there_is_no_voice():
    silence, noise = np.zeros(RATE, dtype=np.float32), np.random.default_rng(0).standard_normal(RATE) / 10
    assert not find_pitch(silence, RATE).any()
    assert (find_pitch(noise.astype(np.float32), RATE) > 0).mean() < 0.1
    assert find_pitch(voice(np.full(1_000, 200)), RATE).tolist() == [0] * 5  # too short to tell


def test_pitch_between_values():
    f0 = np.array([0, 100, 200, 0, 50], dtype=np.float32)
    places = np.array([-0.6, -0.4, 0.4, 0.6, 1, 1.5, 2.4, 2.6, 3.6, 4.4, 4.6])
    expected = [0, 0, 0, 100, 100, 100 * 2**0.5, 200, 0, 50, 50, 0]
    np.testing.assert_allclose(resample_pitch(f0, places), expected, rtol=1e-6)
    assert not resample_pitch(f0[:0], places).any()


@pytest.mark.parametrize("speed", [1.0, 0.8, 1.25])
def test_crop_of_pitch_follows_speed(speed):
    """A vibrato of 5 Hz: a crop that begins 5 ms off, or runs at a wrong speed, is far from it."""
    t = np.arange(3 * RATE) / RATE
    companion = Companion(find_pitch(voice(200 * 2 ** (np.sin(2 * np.pi * 5 * t) / 6)), RATE), None)
    clip = companion.crop(0.737, 1.5, speed)
    at = 0.737 + (np.arange(150) + 0.5) * 0.01 * speed
    assert clip.f0.shape == (150,)
    assert clip.teacher_states is None
    assert cents(clip.f0, speed * 200 * 2 ** (np.sin(2 * np.pi * 5 * at) / 6)).mean() < 20


def test_crop_of_everything_is_the_same():
    f0 = np.arange(217, dtype=np.float32)
    np.testing.assert_allclose(Companion(f0, None).crop(0.0, 2.161).f0, f0, rtol=1e-5)


def test_names_survive_a_move_of_the_corpus(tmp_path, monkeypatch):
    here = Utterance("/a/corpus/train/jo/1.flac", duration_s=1.5)
    assert companion_path("out", here) == companion_path(
        "out", replace(here, path="/b/other/train/jo/1.flac", text="x")
    )
    monkeypatch.chdir(tmp_path)
    relative = Utterance("jo/1.flac", duration_s=1.5)
    assert companion_path("out", relative) == companion_path(
        "out", replace(relative, path=os.path.abspath("jo/1.flac"))
    )
    for other in (replace(here, path="/a/corpus/train/al/1.flac"), replace(here, duration_s=1.501)):
        assert companion_path("out", here) != companion_path("out", other)


def test_a_second_run_makes_what_is_new(tmp_path, whisper):
    utterances = read_manifest(DATA)
    assert write_companions([DATA], tmp_path) == (3, [])
    paths = [companion_path(tmp_path, u) for u in utterances]
    before = [read_companion(path) for path in paths]
    assert all(companion.teacher_states is None for companion in before)
    paths[0].unlink()
    times = [path.stat().st_mtime_ns for path in paths[1:]]
    assert write_companions([DATA, DATA], tmp_path) == (3, [])
    assert [path.stat().st_mtime_ns for path in paths[1:]] == times

    assert write_companions([DATA], tmp_path, whisper, batch_size=2) == (3, [])
    for path, utterance, old in zip(paths, utterances, before, strict=True):
        companion = read_companion(path)
        np.testing.assert_array_equal(companion.f0, old.f0)
        assert companion.teacher_states.states.shape == (len(companion.teacher_states.tokens), 16)
        assert companion.teacher_states.attention.shape[1] == int(np.ceil(round(utterance.duration_s * 50, 3)))
    times = [path.stat().st_mtime_ns for path in paths]
    assert write_companions([DATA], tmp_path, whisper) == (3, [])
    assert [path.stat().st_mtime_ns for path in paths] == times
    with pytest.raises(ValueError, match=r"whisper = .*other'.* has states of tiny; give another folder"):
        write_companions([DATA], tmp_path, whisper.replace("tiny", "other"))


def test_what_fails_is_named_and_the_rest_goes_on(tmp_path, whisper):
    (tmp_path / "data").mkdir()
    soundfile.write(tmp_path / "data/good.wav", voice(np.full(RATE, 200)), RATE)
    soundfile.write(tmp_path / "data/short.wav", voice(np.full(100, 200)), RATE)
    soundfile.write(tmp_path / "data/long.wav", voice(np.full(7 * RATE, 200)), RATE)
    soundfile.write(tmp_path / "data/nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    n_whole, failures = write_companions([tmp_path / "data"], tmp_path / "out", whisper, workers=2)
    assert n_whole == 2
    listed = (tmp_path / "out/failures.txt").read_text().splitlines()
    assert listed == failures
    assert "nan.wav: sample 0 is NaN or infinite" in listed[0]
    assert "long.wav: 7.0 s; Whisper takes 6 s" in listed[1]
    utterances = {Path(u.path).stem: u for u in read_manifest(tmp_path / "data")}
    assert read_companion(companion_path(tmp_path / "out", utterances["long"])).teacher_states is None
    with pytest.raises(ValueError, match=r"none for 1 recordings, the first is .*nan\.wav; run python -m train"):
        require_companions(tmp_path / "out", utterances.values())


def test_cached_loss_is_the_live_one(tmp_path, whisper):
    """Of a whole recording at its own speed."""
    write_companions([DATA], tmp_path, whisper)
    utterance = read_manifest(DATA)[0]
    samples, _ = soundfile.read(utterance.path, dtype="float32")
    waveform, lengths = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
    states = read_companion(companion_path(tmp_path, utterance)).crop(0.0, len(samples) / RATE).teacher_states
    config = preset("tiny")
    torch.manual_seed(0)
    live = make_distillation(DistillConfig(kind="whisper", whisper=whisper), config)
    cached = make_distillation(DistillConfig(kind="whisper", width=16), config)
    cached.load_state_dict(live.state_dict())
    embedding = torch.randn(1, -(-len(samples) // config.hop_length), config.quantizer.semantic_dim)
    expected = live(embedding, waveform, lengths, [None])
    assert expected > 0
    torch.testing.assert_close(cached(embedding, waveform, lengths, [None], [states]), expected, atol=2e-3, rtol=0)


def test_bad_values_are_named(tmp_path):
    for name, value in (("workers", -1), ("batch_size", 0)):
        with pytest.raises(ValueError, match=f"{name} = {value}"):
            write_companions([DATA], tmp_path, **{name: value})


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    for name in ("a", "missing"):
        with pytest.raises(ValueError, match=rf"{name}\.safetensors: damaged .* delete it and run"):
            read_companion(tmp_path / f"{name}.safetensors")


def test_command(tmp_path, monkeypatch, capsys):
    from train.data.audio.companions import main

    monkeypatch.setattr(sys, "argv", ["companions", str(DATA), "--out", str(tmp_path)])
    assert main() == 0
    assert "3 recordings have companions in" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["companions", str(tmp_path / "none.jsonl"), "--out", str(tmp_path)])
    assert main() == 2
    assert "no such manifest" in capsys.readouterr().err
