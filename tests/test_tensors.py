"""Safetensors files: the same content is the same bytes, in every process."""

import torch
from forks import fork_code
from safetensors import safe_open

from codec.tensors import write_tensors

TEXTS = {name: f'"{name}" \n\u00e9\u4e2d\x07' for name in ("b", "fingerprint", "a", "voice", "é")}
WRITE = f"""
import sys, torch
from pathlib import Path
from codec.tensors import write_tensors
write_tensors(Path(sys.argv[1]), {{"y": torch.arange(3), "x": torch.ones(2, 2)}}, {TEXTS!r})
"""


def test_all_comes_back(tmp_path):
    tensors = {"y": torch.arange(3), "x": torch.ones(2, 2).T, "z": torch.ones(2, dtype=torch.bfloat16)}
    write_tensors(tmp_path / "a", tensors, TEXTS)
    with safe_open(tmp_path / "a", framework="pt") as file:
        assert file.metadata() == {"format": "pt", **TEXTS}
        assert {name: file.get_tensor(name).tolist() for name in tensors} == {k: t.tolist() for k, t in tensors.items()}


def test_processes_write_the_same_bytes(tmp_path):
    """The library alone orders texts by a hash that is another one in every process."""
    assert fork_code(WRITE, tmp_path, tmp_path / "there").wait() == 0, (tmp_path / "log").read_text()
    write_tensors(tmp_path / "here", {"x": torch.ones(2, 2), "y": torch.arange(3)}, dict(reversed(TEXTS.items())))
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
