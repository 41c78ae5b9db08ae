"""The demo leaves tokens, sound and picture, and prints its numbers."""

import sys
from pathlib import Path

from eval import demo

CLIP = Path(__file__).parents[1] / "data" / "kathleen.flac"


def test_demo(tmp_path, monkeypatch, capsys, tokenizer):
    tokenizer.save(tmp_path / "model")
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["demo", str(CLIP), str(out), "--model", str(tmp_path / "model")])
    demo.main()
    assert {p.name for p in out.iterdir()} == {"kathleen.tokens", "kathleen.wav", "kathleen.png"}
    printed = capsys.readouterr().out
    for word in ("PESQ-WB", "ESTOI", "mel dist", "kbit/s", "encode"):
        assert word in printed
