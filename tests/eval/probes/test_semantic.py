"""The semantic table: labels follow the sound, numbers are shares, missing transcripts are named."""

import json
from functools import partial
from pathlib import Path

import pytest
import soundfile
import torch
from tiny import make_codec

import eval.probes.semantic
from codec.tokenizer import Tokenizer
from eval.probes.linear import train_probe
from eval.probes.semantic import HEADER, Corpus, main, read_corpus, semantics, sound_labels

CLIPS = Path(__file__).parents[2] / "data"


@pytest.fixture(autouse=True)
def short_training(monkeypatch):
    """Nothing here depends on how well the probe reads."""
    monkeypatch.setattr(eval.probes.semantic, "train_probe", partial(train_probe, n_updates=2))


def test_labels_follow_the_sound():
    t = torch.arange(24_000 * 2) / 24_000
    low, high = 0.3 * torch.sin(2 * torch.pi * 300 * t), 0.3 * torch.sin(2 * torch.pi * 3000 * t)
    noise = 0.1 * torch.randn(24_000 * 4, generator=torch.Generator().manual_seed(0))
    (labels,) = sound_labels([torch.cat([low, high, low, high]) + 0.01 * noise.repeat(2)], [100], 24_000, 12.5)
    middle = [set(labels[i + 3 : i + 22].tolist()) for i in (0, 25, 50, 75)]
    assert not middle[0] & middle[1]
    assert not middle[2] & middle[3]
    assert middle[0] & middle[2]


def corpus(speakers):
    waveforms = [0.1 * torch.randn(24_000, generator=torch.Generator().manual_seed(i)) for i in range(8)]
    return Corpus(waveforms, ["hello"] * 8, speakers)


def test_a_random_codec(tokenizer):
    result = semantics(tokenizer, corpus(["a", "b"] * 4), corpus(["c"] * 8))
    assert result.cer >= 0
    assert result.found.purity >= result.chance.purity - 0.1  # a little above chance or at it
    assert 0 <= result.abx_within <= 1
    assert 0 <= result.abx_across <= 1


def test_abx_wants_known_speakers(tokenizer):
    one = semantics(tokenizer, corpus(["a"] * 4 + [""] * 4), corpus([""] * 8))
    assert one.abx_within is not None
    assert one.abx_across is None
    assert semantics(tokenizer, corpus([""] * 8), corpus([""] * 8)).abx_within is None


@pytest.fixture
def manifest(tmp_path):
    clips = [{"path": str(CLIPS / f"{name}.flac"), "speaker": name} for name in ("kathleen", "kerstin")]
    lines = [clip | {"text": "hello", "duration_s": 3.0} for clip in clips] + [clips[0] | {"id": "silent"}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path / "m.jsonl"


def test_recordings_with_transcripts_are_read_up_to_the_minutes(manifest):
    every, half = read_corpus(manifest, 1, 24_000), read_corpus(manifest, 0.05, 24_000)
    assert every.speakers == ["kathleen", "kerstin"]
    assert [len(x) for x in every.waveforms] == [len(soundfile.read(CLIPS / f"{s}.flac")[0]) for s in every.speakers]
    assert half.speakers == ["kathleen"]


def test_transcripts_are_needed(tokenizer, manifest, tmp_path, capsys):
    with pytest.raises(ValueError, match="no transcripts"):
        read_corpus(CLIPS, 1, 24_000)
    tokenizer.save(tmp_path / "model")
    assert main([f"{tmp_path}/model", "--train", str(CLIPS), "--test", str(manifest)]) == 1
    assert "no transcripts" in capsys.readouterr().err


def test_the_table(tokenizer, manifest, tmp_path, capsys):
    tokenizer.save(tmp_path / "model")
    assert main([f"{tmp_path}/model", f"{tmp_path}/none", "--train", str(manifest), "--test", str(manifest)]) == 1
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith(f"| {tmp_path}/model | ")
    assert lines[0].count("|") == lines[2].count("|") == len(HEADER) + 1
    assert f"{tmp_path}/none" in output.err


def test_recordings_are_read_once_for_each_sample_rate(tokenizer, manifest, tmp_path, monkeypatch):
    models = [str(tmp_path / name) for name in ("a", "b", "c")]
    for model, codec in zip(models, (tokenizer, Tokenizer(make_codec("16 kHz")), tokenizer), strict=True):
        codec.save(model)
    read, read_recording = [], eval.probes.semantic.read_recording

    def count(path, sample_rate):
        read.append((Path(path).stem, sample_rate))
        return read_recording(path, sample_rate)

    monkeypatch.setattr(eval.probes.semantic, "read_recording", count)
    (tmp_path / "test.jsonl").write_text(manifest.read_text().splitlines()[1])
    assert main([*models, "--train", str(manifest), "--test", str(tmp_path / "test.jsonl")]) == 0
    clips = ("kathleen", "kerstin", "kerstin")  # two to train on, one to test on
    assert sorted(read) == sorted((name, rate) for name in clips for rate in (16_000, 24_000))
