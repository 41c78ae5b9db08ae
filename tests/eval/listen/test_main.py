"""The command that writes a listening page and its key."""

import re

from eval.listen.__main__ import main
from eval.listen.key import Key
from eval.listen.trials import LOW_ANCHOR


def test_page_and_key(run, capsys):
    assert main([str(run), "--systems", "model", "opus-6", "--trials", "3"]) == 0
    page, key = (run / "listen.html").read_text(encoding="utf-8"), Key.load(run / "listen.key.json")
    assert "listen.key.json" in capsys.readouterr().out
    assert len(key.trials) == 3
    for trial in key.trials:
        assert all(f'id="{name}"' in page for name in trial.stimuli)
    without_sounds = re.sub(r'<script type="text/plain".*?</script>', "", page)
    for secret in ("opus", "model", LOW_ANCHOR, "b/1"):
        assert secret not in without_sounds
    assert re.findall(r"""(?:src|href)=["'][^"']+""", page) == []


def test_what_is_wrong_is_said(run, capsys):
    assert main([str(run), "--systems", "nothing"]) == 2
    assert "error: " in capsys.readouterr().err
    assert not (run / "listen.html").exists()
