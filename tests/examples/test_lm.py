"""A toy language model learns on the ids of `codec.hf`."""

import re

import pytest


def test_its_loss_falls(tokenizer, tmp_path, capsys):
    import lm

    tokenizer.save(tmp_path / "codec")
    assert lm.main(["tests/data", "--codec", str(tmp_path / "codec"), "--n-q", "2", "--steps", "12"]) == 0
    counts, losses = capsys.readouterr().out.splitlines()
    assert counts.startswith("3 recordings, ")
    first, last = map(float, re.findall(r"\d+\.\d\d", losses))
    assert last < 0.8 * first
    with pytest.raises(SystemExit):
        lm.main([str(tmp_path / "codec")])
