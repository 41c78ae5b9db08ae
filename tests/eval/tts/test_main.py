"""The command from models and texts to table: modes, settings, exit status."""

import json
from dataclasses import dataclass

import pytest

import eval.tts.__main__
from codec.audio.io import read_comment
from codec.tts.sampling import Sampling
from eval.store import file_of
from eval.tts.__main__ import main


@dataclass
class Short(Sampling):
    """Random weights babble as long as they may."""

    max_frames: int = 4


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(eval.tts.__main__, "Sampling", Short)


def test_models_on_a_test_set(folder, metrics, tmp_path, capsys):
    (tmp_path / "ids.txt").write_text("a1\na3\n")
    arguments = [f"{folder}/one", f"{folder}/two", "--testset", f"{folder}/test.jsonl", "--ids", f"{tmp_path}/ids.txt"]
    assert main([*arguments, "--metrics", *metrics, "--out", f"{tmp_path}/out", "--seeds", "1", "2", "1"]) == 0
    text = capsys.readouterr().out
    assert (tmp_path / "out/table.md").read_text() == text
    assert "| system | texts | WER | CER | SIM | characters/s | cut | RTF | first audio (ms) |" in text
    assert f"| {folder}/one | 2 | 1.000 [1.000, 1.000] |" in text
    assert f"| {folder}/two minus {folder}/one | +0.000 [+0.000, +0.000], p = 1.000 |" in text
    found = [json.loads(line) for line in (tmp_path / "out/results.jsonl").read_text().splitlines()]
    assert [line["seed"] for line in found] == 4 * [None] + 2 * [1, 1, 2, 2]
    assert [line["voice"] for line in found[:2]] == [f"{folder}/a2.wav", f"{folder}/a1.wav"], "not of --ids only"


def test_what_cannot_be_judged_shows_in_the_status(folder, metrics, tmp_path, capsys):
    arguments = [
        f"{folder}/one",
        "--testset",
        f"{folder}/test.jsonl",
        "--metrics",
        *metrics,
        "--out",
        f"{tmp_path}/out",
    ]
    assert main([*arguments]) == 1
    text = capsys.readouterr().out
    assert "## en (3 texts)" in text
    assert f"- {folder}/one: 2 texts: asr: language nl-BE: not known" in text
    assert "- 1 recordings were left out: no other recording of its speaker" in text


def test_lines_in_voices(folder, metrics, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("Hello.\nGood bye.")
    (tmp_path / "voices.jsonl").write_text(json.dumps({"id": "ann", "path": f"{folder}/a1.wav"}))
    arguments = [f"{folder}/one", "--texts", f"{tmp_path}/texts.txt", "--out", f"{tmp_path}/out", "--metrics", "asr"]
    assert (
        main([*arguments, "--voices", f"{tmp_path}/voices.jsonl", "--consent", "ann agreed", "--language", "de"]) == 0
    )
    assert "recordings" not in capsys.readouterr().out.partition("| system")[2]
    found = [json.loads(line) for line in (tmp_path / "out/results.jsonl").read_text().splitlines()]
    assert [(line["text"], line["language"], line["speaker"]) for line in found] == [
        ("Hello.", "de", "ann"), ("Good bye.", "de", "ann")
    ]  # fmt: skip
    path = file_of(tmp_path / "out", "audio", f"{folder}/one@0", "line 1, ann")
    assert json.loads(read_comment(path))["consent"] == "ann agreed"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--metrics", "stoi"], "metric stoi: it compares recordings"),
        (["--ids", "nowhere.txt"], "nowhere.txt"),
        (["--temperature", "-1"], "temperature = -1.0"),
        (["--batch", "0"], "batch_size = 0"),
    ],
)
def test_bad_arguments(folder, metrics, tmp_path, more, message, capsys):
    assert main([f"{folder}/one", "--testset", f"{folder}/test.jsonl", "--out", f"{tmp_path}/out", *more]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_to_say(folder, tmp_path, capsys):
    out = ["--out", f"{tmp_path}/out"]
    (tmp_path / "ids.txt").write_text("mute")
    assert main([f"{folder}/one", "--testset", f"{folder}/test.jsonl", "--ids", f"{tmp_path}/ids.txt", *out]) == 2
    assert "nothing to say: no text" in capsys.readouterr().err
    assert main([f"{folder}/one", "--texts", f"{tmp_path}/ids.txt", *out]) == 2
    assert "say in whose voices, with --voices" in capsys.readouterr().err
