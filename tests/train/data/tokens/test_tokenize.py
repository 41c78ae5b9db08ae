"""Tokenizing: the codes are the codec's, the labels survive, and a killed run ends as if it had not been."""

import itertools
import json
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from pieces import CLIPS, write_pieces, write_rates
from tiny import make_codec

from codec.audio.io import read_audio
from codec.tokenizer import Tokenizer
from train.data.audio.augment import change_speed
from train.data.audio.shards import write_shards
from train.data.tokens import shards, tokenize
from train.data.tokens.shards import TokenSet
from train.data.tokens.tokenize import TokenizeConfig, main, write_tokens

N_SHARDS = 3


@pytest.fixture(scope="module")
def codec(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("codec") / "tiny"
    tokenizer.save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A manifest of pieces of the clips, of different lengths; one of three has no text."""
    folder = tmp_path_factory.mktemp("source")
    lines = []
    for clip, n_samples, name in write_pieces(folder):
        text = None if n_samples == 9_001 else f"text of {name}"
        lines.append({"path": name, "text": text, "speaker": clip.stem, "language": "de"})
    (folder / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "m.jsonl"


@pytest.fixture(scope="module")
def config(codec):
    # Three pieces last 5.2 s at both speeds: each shard holds three, read in two windows and encoded in batches.
    return TokenizeConfig(codec, speeds=(1.0, 0.9), activity="none", shard_frames=80, batch_seconds=0.5)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, source, config):
    out = tmp_path_factory.mktemp("finished") / "tokens"
    assert write_tokens(source, out, config) == (9, 0)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_codes_are_those_of_each_recording_alone(finished, tokenizer, source):
    found = TokenSet(finished)
    lines = [json.loads(line) for line in source.read_text().splitlines()]
    expected = list(itertools.product(lines, (1.0, 0.9)))
    assert found.info.fingerprint == tokenizer.fingerprint
    assert found.info.codebook_sizes == tokenizer.config.codebook_sizes
    for utterance, (line, speed) in zip(found, expected, strict=True):
        x = soundfile.read(source.parent / line["path"], dtype="float32")[0]
        codes = tokenizer.encode(change_speed(x, speed, 24_000), 24_000).codes[0]
        assert utterance.codes.shape == codes.shape
        assert (utterance.codes == codes).float().mean() > 0.99  # rounding differs with the size of a batch
        assert (utterance.activity == 255).all()
        assert (utterance.id, utterance.text, utterance.speed) == (line["path"], line["text"], speed)
        assert utterance.speaker == (line["speaker"] if speed == 1 else line["speaker"] + "@0.9")
        assert utterance.language == "de"


def test_recordings_of_other_rates_have_the_codes_of_the_codec(tmp_path, tokenizer, codec):
    paths = write_rates(tmp_path)
    write_tokens(tmp_path, tmp_path / "out", TokenizeConfig(codec, activity="none", batch_seconds=0.5))
    for utterance, path in zip(TokenSet(tmp_path / "out"), paths, strict=True):
        assert torch.equal(utterance.codes, tokenizer.encode(read_audio(path, None, 24_000), 24_000).codes[0].short())


def test_shards_are_as_large_as_asked_for(finished):
    sizes = [sum(line.n_frames for line in shards.read_lines(finished, number)) for number in range(N_SHARDS)]
    assert not shards.has_shard(finished, N_SHARDS)
    assert max(sizes) <= 80 + 6  # the last frame of each of the six is not full
    assert sum(sizes) == sum(line.n_frames for line in TokenSet(finished).lines)


@pytest.mark.parametrize("n_written", range(N_SHARDS))
def test_a_killed_run_goes_on(tmp_path, monkeypatch, source, config, finished, n_written):
    calls = itertools.count()

    def write_or_die(*args):
        if next(calls) == n_written:
            raise KeyboardInterrupt
        shards.write_shard(*args)

    with monkeypatch.context() as patch:
        patch.setattr(tokenize, "write_shard", write_or_die)
        with pytest.raises(KeyboardInterrupt):
            write_tokens(source, tmp_path / "out", config)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert len(times) == 1 + 2 * n_written
    assert write_tokens(source, tmp_path / "out", config) == (9, 0)
    assert contents(tmp_path / "out") == contents(finished)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_a_run_killed_within_a_shard_leaves_no_half_of_it(tmp_path, monkeypatch, source, config, finished):
    def die(tensors, path, metadata):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("codec.tensors.save_file", die)
        with pytest.raises(KeyboardInterrupt):
            write_tokens(source, tmp_path / "out", config)
    assert not list((tmp_path / "out").glob("*.safetensors"))
    with pytest.raises(ValueError, match=f"0 of {N_SHARDS} shards"):
        TokenSet(tmp_path / "out")
    write_tokens(source, tmp_path / "out", config)
    assert contents(tmp_path / "out") == contents(finished)


@pytest.mark.parametrize(
    ("name", "value"),
    [("speeds", (1.0,)), ("activity", "silero"), ("shard_frames", 90), ("codec", "other")],
)
def test_a_folder_made_with_other_settings_is_refused(tmp_path, source, config, finished, name, value):
    if value == "other":
        Tokenizer(make_codec(seed=1)).save(tmp_path / "other")
        name, value = "codec", str(tmp_path / "other")
    if value == "silero":
        pytest.importorskip("silero_vad")
    before = contents(finished)
    changed = TokenizeConfig(**vars(config) | {name: value})
    with pytest.raises(ValueError, match=f"{'fingerprint' if name == 'codec' else name} = .* another folder"):
        write_tokens(source, finished, changed)
    assert contents(finished) == before


def test_a_folder_made_from_another_source_is_refused(tmp_path, source, config, finished):
    lines = source.read_text().splitlines(keepends=True)
    other = source.with_name("other.jsonl")
    other.write_text("".join(lines[1:] + lines[:1]))
    with pytest.raises(ValueError, match="source_digest"):
        write_tokens(other, finished, config)


def test_shards_of_somebody_else_are_not_taken_for_ours(tmp_path, source, config):
    (tmp_path / "00000.safetensors").touch()
    with pytest.raises(ValueError, match=r"no index\.json.*empty folder"):
        write_tokens(source, tmp_path, config)


def test_unreadable_recordings_are_named_and_counted_every_time(tmp_path, config, capsys):
    (tmp_path / "good.flac").symlink_to(CLIPS[0])
    (tmp_path / "cut.flac").write_bytes(CLIPS[0].read_bytes()[:30_000])
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(f'{{"path": "{p}.flac", "duration_s": 3}}\n' for p in ("absent", "cut", "good")))
    assert write_tokens(manifest, tmp_path / "out", config) == (1, 2)
    errors = capsys.readouterr().err
    assert "left out" in errors
    assert "absent.flac" in errors
    assert "cut.flac" in errors
    assert {line.id for line in TokenSet(tmp_path / "out").lines} == {"good.flac"}
    assert write_tokens(manifest, tmp_path / "out", config) == (1, 2)


def test_folders_and_tar_shards_are_sources_too(tmp_path, config):
    write_shards(CLIPS[0].parent, tmp_path / "source/tar", 64, 100)
    assert write_tokens(tmp_path / "source", tmp_path / "out", config) == (3, 0)
    ids = [line.id for line in TokenSet(tmp_path / "out").lines if line.speed == 1]
    assert ids == [f"tar/00000.tar::{number:06d}.opus" for number in range(3)]


def test_silence_is_marked(tmp_path, codec):
    pytest.importorskip("silero_vad")
    pytest.importorskip("onnxruntime")
    x = torch.from_numpy(soundfile.read(CLIPS[1], dtype="float32")[0][: 30 * 1920])
    (tmp_path / "source").mkdir()
    soundfile.write(tmp_path / "source/a.wav", torch.cat([torch.zeros(30 * 1920), x]).numpy(), 24_000)
    write_tokens(tmp_path / "source", tmp_path / "out", TokenizeConfig(codec))
    (utterance,) = TokenSet(tmp_path / "out")
    assert utterance.activity[:29].max() < 80
    assert utterance.activity[32:].float().median() > 230


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("speeds", ()),
        ("speeds", (1.0, 1.0)),
        ("speeds", (0.1,)),
        ("activity", "loud"),
        ("shard_frames", 0),
        ("batch_seconds", 0.0),
        ("batch_seconds", float("nan")),
    ],
)
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name} = .*expected"):
        TokenizeConfig(**{name: value})


def test_the_command(tmp_path, monkeypatch, capsys, codec, source):
    options = ["--codec", codec, "--activity", "none", "--speeds", "1", "1.1", "--batch-seconds", "5"]
    monkeypatch.setattr(sys, "argv", ["tokenize", str(source), "--out", str(tmp_path / "out"), *options])
    assert main() == 0
    assert "9 recordings encoded" in capsys.readouterr().out
    assert len(TokenSet(tmp_path / "out")) == 18
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--shard-frames", "7"])
    assert main() == 2
    assert "error:" in capsys.readouterr().err
