"""The command writes what each board reads, of the systems that are asked for."""

import re

import numpy as np
import pytest
import soundfile

from eval.boards.__main__ import main
from eval.store import file_of


def test_wavs_with_their_texts(run, tmp_path, capsys):
    assert main(["ttsds", f"{run}", "--out", f"{tmp_path}/out", "--systems", "reference", "runs/mine@0"]) == 0
    assert capsys.readouterr().out == "reference: 2 recordings\nruns/mine@0: 2 recordings\n"
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    names = ("a%2F1.wav.txt", "a%2F1.wav.wav", "b%202.txt", "b%202.wav")
    assert files == sorted(f"{system}/{name}" for system in ("reference", "runs%2Fmine%400") for name in names)
    assert (tmp_path / "out/reference/b%202.txt").read_text() == "Three\nfour."
    written, rate = soundfile.read(tmp_path / "out/runs%2Fmine%400/b%202.wav", dtype="float32")
    kept = soundfile.read(file_of(run, "audio", "runs/mine@0", "b 2"), dtype="float32")[0]
    assert (rate, len(written)) == (24_000, len(kept))
    np.testing.assert_allclose(written, kept, atol=2**-15)


def test_seed_tts_gets_wavs_alone(run, tmp_path):
    assert main(["seed-tts", f"{run}", "--out", f"{tmp_path}/out", "--systems", "opus-9"]) == 0
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {"a%2F1.wav.wav", "b%202.wav"}


@pytest.mark.parametrize(
    ("folder", "more", "message"),
    [
        ("run", ["--systems", "mimi"], "--systems mimi: not in .*; there are opus-9 reference runs/mine@0"),
        ("none", [], "none/results.json: .*expected the folder of a run of python -m eval"),
    ],
)
def test_what_is_not_there(folder, more, message, run, tmp_path, capsys):
    assert main(["versa", f"{tmp_path}/{folder}", "--out", f"{tmp_path}/out", *more]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
