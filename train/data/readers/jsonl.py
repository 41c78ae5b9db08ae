"""Manifests: a JSON object a line, see `eval.testsets`."""

from pathlib import Path

from eval.testsets import read_lines as read

__all__ = ["FORM", "accepts", "read"]

FORM = "a .jsonl manifest"


def accepts(path: Path) -> bool:
    return path.suffix == ".jsonl"
