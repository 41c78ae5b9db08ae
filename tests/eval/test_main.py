"""The command from manifest to table: groups, failures, missing programs, and going on after an interruption."""

import json

import numpy as np
import pytest
import soundfile

import eval.run
from eval.__main__ import main
from eval.testsets import read_manifest


@pytest.fixture
def corpus(tmp_path, tokenizer):
    """Three good recordings of two sources and a silent one, and a model."""
    speech = soundfile.read("tests/data/kathleen.flac", dtype="float32")[0]
    recordings = {"a": speech[:30_000], "b": speech[20_000:50_000], "c": speech[30_000:66_000], "mute": 0 * speech}
    lines = []
    for name, x in recordings.items():
        soundfile.write(tmp_path / f"{name}.wav", x, 24_000)
        source = "new" if name == "c" else "old"
        lines.append({"id": name, "path": f"{name}.wav", "source": source, "speaker": f"{source} speaker"})
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "train.jsonl").write_text(json.dumps({"id": "t", "path": "t.wav", "speaker": "old speaker"}))
    (tmp_path / "ids.txt").write_text("a\nc\n")
    tokenizer.save(tmp_path / "model")
    return tmp_path


def arguments(corpus, *more):
    out = ["--manifest", f"{corpus}/test.jsonl", "--out", f"{corpus}/out", "--train-manifest", f"{corpus}/train.jsonl"]
    return [*out, *more, "--systems", f"{corpus}/model:2"]


def test_table_and_json(corpus, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert main([*arguments(corpus), "codec2-2400"]) == 1
    table = capsys.readouterr().out
    assert (corpus / "out/table.md").read_text() == table
    assert "| system | old (3) | new (1) | unseen speakers (1) |" in table
    assert "- codec2-2400: not measured: c2enc not found: install the Debian package codec2" in table
    assert "1 recordings failed:\n  - mute: " in table
    ours, other = json.loads((corpus / "out/results.json").read_text())
    assert (ours["n_files"], other["n_files"]) == (3, 0)
    assert ours["groups"]["new"] == ours["groups"]["unseen speakers"] != ours["groups"]["old"]
    assert ours["overall"]["pesq"]["low"] <= ours["overall"]["pesq"]["mean"] <= ours["overall"]["pesq"]["high"]


def test_an_interrupted_run_goes_on(corpus, capsys, monkeypatch):
    assert main(arguments(corpus, "--ids", f"{corpus}/ids.txt")) == 0
    first = capsys.readouterr().out
    with (corpus / "out/measurements.jsonl").open("a") as file:
        file.write('\n{"system": "interr')
    scored = []
    score_each = eval.run.score_each
    monkeypatch.setattr(
        eval.run, "score_each", lambda pairs, workers: score_each((scored.append(p[0]) or p for p in pairs), workers)
    )
    assert main(arguments(corpus, "--ids", f"{corpus}/ids.txt")) == 0
    assert capsys.readouterr().out == first
    assert scored == []
    main(arguments(corpus))
    assert scored == ["b", "mute"]
    main(arguments(corpus))
    assert scored == ["b", "mute", "mute"]  # failures are tried again


def test_bit_rate_is_that_of_the_codes(corpus, tokenizer):
    main(arguments(corpus))
    result = json.loads((corpus / "out/results.json").read_text())[0]
    seconds, n_frames = 96_000 / 24_000, sum(np.ceil(n / tokenizer.config.hop_length) for n in (30_000, 30_000, 36_000))
    bits = n_frames * tokenizer.config.bitrate(2) / tokenizer.config.frame_rate
    assert result["kbit_per_s"] == pytest.approx(bits / seconds / 1000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a"}', "1: no field 'path'"),
        ('{"id": "a", "path": "x"}\n{"id": "a", "path": "y"}', "2: id a occurs twice"),
        ("[1]", "1: .* expected an object"),
        ("{", "1: "),
        ("\n", "no recordings"),
    ],
)
def test_bad_manifests(tmp_path, text, message, capsys):
    (tmp_path / "m.jsonl").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_manifest(tmp_path / "m.jsonl")
    assert main(["--manifest", f"{tmp_path}/m.jsonl", "--out", f"{tmp_path}/out", "--systems", "opus-6"]) == 2
    assert "error: " in capsys.readouterr().err


def test_unknown_ids(corpus):
    (corpus / "ids.txt").write_text("a x y")
    with pytest.raises(ValueError, match=r"2 ids are not in .* the first is x"):
        read_manifest(corpus / "test.jsonl", corpus / "ids.txt")
