"""Manifests: one JSON object per line, see `eval.testsets`."""

from pathlib import Path

from eval.testsets import Utterance, read_lines

FORM = "a .jsonl manifest"


def accepts(path: Path) -> bool:
    return path.suffix == ".jsonl"


def read(path: Path) -> list[Utterance]:
    return read_lines(path)
