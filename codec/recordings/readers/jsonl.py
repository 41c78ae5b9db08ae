"""Manifests: one JSON object per line, see `codec.recordings.utterance`."""

from pathlib import Path

from codec.recordings.utterance import Utterance, read_lines

FORM = "a .jsonl manifest"


def accepts(path: Path) -> bool:
    return path.suffix == ".jsonl"


def read(path: Path) -> list[Utterance]:
    return read_lines(path)
