"""The demo leaves tokens, sound and picture, and prints its numbers."""

import sys
from pathlib import Path

from eval import demo

CLIP = Path(__file__).parents[1] / "data" / "kathleen.flac"


def test_demo(tmp_path, monkeypatch, capsys, tokenizer):
    tokenizer.save(tmp_path / "model")
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["demo", str(CLIP), "--out", str(out), "--model", str(tmp_path / "model")])
    demo.main()
    assert {p.name for p in out.iterdir()} == {"kathleen.tokens", "kathleen.wav", "kathleen.png"}
    printed = capsys.readouterr().out
    for word in ("PESQ-WB", "ESTOI", "mel dist", "kbit/s", "encode"):
        assert word in printed


def test_a_clip_too_short_to_judge(tmp_path, monkeypatch, capsys, tokenizer):
    tokenizer.save(tmp_path / "model")
    clip = CLIP.parents[1] / "field" / "short512.wav"
    monkeypatch.setattr(
        sys, "argv", ["demo", str(clip), "--out", str(tmp_path / "out"), "--model", str(tmp_path / "model")]
    )
    demo.main()
    assert (tmp_path / "out" / "short512.png").exists()
    printed = capsys.readouterr().out
    assert printed.count("not measured: ") == 2
    assert "mel dist    not" not in printed
