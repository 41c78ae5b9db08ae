"""Lists that VERSA's reader finds the files by, and its scores in both of the forms that it has written."""

import json

import pytest

from eval.boards import versa
from eval.boards.__main__ import main as write_board
from eval.results import Results


@pytest.fixture
def board(run, tmp_path):
    assert write_board(["versa", f"{run}", "--out", f"{tmp_path}/versa"]) == 0
    return tmp_path / "versa"


def versas_reader(path):
    """What scorer_shared.audio_loader_setup makes of a list."""
    return dict(line.strip().split(maxsplit=1) for line in path.read_text().splitlines())


def test_lists(board, run):
    systems = {path.name: versas_reader(path / "wav.scp") for path in board.iterdir()}
    assert set(systems) == {"opus-9", "reference", "runs%2Fmine%400"}
    assert {tuple(files) for files in systems.values()} == {("a%2F1.wav", "b%202")}
    assert systems["opus-9"]["b%202"] == f"{run}/audio/opus-9/b%202.flac"
    assert versas_reader(board / "opus-9/text") == {"a%2F1.wav": "One two.", "b%202": "Three four."}


def test_scores_become_columns(board, run, capsys):
    errors = {f"whisper_wer_{name}": n for name, n in (("delete", 1), ("insert", 2), ("replace", 0), ("equal", 3))}
    scores = [
        {"key": "a%2F1.wav", "utmos": 3.0, "mcd": 5.5, "whisper_hyp_text": "nan", **errors},
        {"key": "b%202.flac", "utmos": 4.0, "mcd": float("nan"), "vad_info": [{"start": 0.1}]},
    ]
    (board / "opus-9/scores.jsonl").write_text("".join(f"{line}\n" for line in scores))
    (board / "runs%2Fmine%400/scores.jsonl").write_text("\n".join(map(json.dumps, scores)))
    assert versa.main([f"{run}", f"{board}"]) == 0
    results = Results.load(run)
    assert [(c.key, c.higher_is_better) for c in results.columns] == [
        ("stoi", True), ("versa_utmos", True), ("versa_mcd", False), ("versa_whisper_wer", False),
    ]  # fmt: skip
    for system in results.systems:
        assert system.values == {
            "stoi": {"b 2": 0.5},
            "versa_utmos": {"a/1.wav": 3, "b 2": 4},
            "versa_mcd": {"a/1.wav": 5.5},
            "versa_whisper_wer": {"a/1.wav": 0.75},
        }
    table = capsys.readouterr().out
    assert "utmos (VERSA)" in table
    assert (run / "table.md").read_text() == table
    (board / "opus-9/scores.jsonl").write_text('{"key": "b%202", "pesq": 2}')
    keys = [c.key for c in versa.add_scores(run, board).columns]
    assert keys == ["stoi", "versa_pesq", "versa_utmos", "versa_mcd", "versa_whisper_wer"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"key": "c", "utmos": 3}', "scores.jsonl:1: c is not in the run"),
        ("\n{'key': 'a' +", "scores.jsonl:2: neither JSON nor a Python dictionary"),
        ("{'key': __import__('os')}", "scores.jsonl:1: neither JSON"),
        ("[1]", "scores.jsonl:1: no field 'key'"),
        ("", "no SYSTEM/scores.jsonl with scores in it"),
    ],
)
def test_what_are_no_scores(text, message, board, run, capsys):
    (board / "opus-9/scores.jsonl").write_text(text)
    before = (run / "results.json").read_bytes()
    assert versa.main([f"{run}", f"{board}"]) == 2
    assert message in capsys.readouterr().err
    assert (run / "results.json").read_bytes() == before
