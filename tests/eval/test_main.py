"""The command from test set to table: groups, failures, missing programs, exit status."""

import json

import numpy as np
import pytest
import soundfile

from eval.__main__ import main
from eval.results import Results


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
    out = [f"{corpus}/test.jsonl", "--out", f"{corpus}/out", "--train-manifest", f"{corpus}/train.jsonl"]
    return [*out, *more, "--systems", f"{corpus}/model:2"]


def test_table_and_json(corpus, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert main([*arguments(corpus), "codec2-2400"]) == 1
    table = capsys.readouterr().out
    assert (corpus / "out/table.md").read_text() == table
    assert "| system | old (3) | new (1) | unseen speakers (1) |" in table
    assert "- codec2-2400: not measured: c2enc not found: install the Debian package codec2" in table
    assert "1 recordings failed:\n  - mute: pesq_wb: " in table
    results = Results.load(corpus / "out")
    ours, other = results.systems
    assert (len(ours.values["estoi"]), len(other.values)) == (3, 0)
    assert results.groups["new"] == results.groups["unseen speakers"] == ["c"]
    assert "commit" in results.made
    for suffix in (".png", ".svg", ".pdf"):
        assert (corpus / f"out/rate_quality{suffix}").stat().st_size > 5_000


def test_all_is_well(corpus, capsys):
    assert main(arguments(corpus, "--ids", f"{corpus}/ids.txt", "--metrics", "mel", "estoi")) == 0
    assert "| system | files | kbit/s | mel | ESTOI |" in capsys.readouterr().out


def test_the_untouched_recordings_are_no_failure(corpus):
    """What is the reference has no finite SI-SDR; a mean has it all the same."""
    ids = ["--ids", f"{corpus}/ids.txt", "--metrics", "si_sdr", "mel", "stft", "estoi"]
    assert main([*arguments(corpus, *ids), "identity", "mulaw"]) == 0
    _, identity, mulaw = Results.load(corpus / "out").systems
    assert identity.mean("si_sdr").mean == 100
    assert 20 < mulaw.mean("si_sdr").mean < 60


def test_outputs_made_elsewhere_beside_a_codec(corpus, capsys):
    (corpus / "outputs").mkdir()
    for name in "ab":
        soundfile.write(corpus / "outputs" / f"{name}.flac", soundfile.read(corpus / f"{name}.wav")[0], 24_000)
    ids = ["--ids", f"{corpus}/ids.txt", "--metrics", "stft"]
    assert main([*arguments(corpus, *ids), f"files={corpus}/outputs"]) == 1
    table = capsys.readouterr().out
    assert f"| files={corpus}/outputs | 1 | not measured | 0.0" in table
    assert f"- files={corpus}/outputs: 1 recordings failed:\n  - c: coding: {corpus}/outputs/c: no output" in table


def test_bit_rate_is_that_of_the_codes(corpus, tokenizer):
    main(arguments(corpus, "--ids", f"{corpus}/ids.txt", "--metrics", "mel"))
    (system,) = Results.load(corpus / "out").systems
    n_frames = sum(np.ceil(n / tokenizer.config.hop_length) for n in (30_000, 36_000))
    bits = n_frames * tokenizer.config.bitrate(2) / tokenizer.config.frame_rate
    assert system.kbit_per_s == pytest.approx(bits / (66_000 / 24_000) / 1000)


@pytest.mark.parametrize(
    ("more", "message"),
    [(["--metrics", "loudness"], "metric loudness: unknown"), (["--ids", "nowhere.txt"], "nowhere.txt")],
)
def test_bad_arguments(corpus, more, message, capsys):
    assert main(arguments(corpus, *more)) == 2
    assert message in capsys.readouterr().err
    assert not (corpus / "out").exists()
