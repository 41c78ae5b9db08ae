"""Our manifests: one JSON object per line, with the fields of `codec.recordings.utterance.to_utterance`."""

from pathlib import Path

from codec.recordings.readers.records import json_lines
from codec.recordings.utterance import Utterance, to_utterance

FORM = "a .jsonl manifest"


def accepts(path: Path) -> bool:
    return path.suffix == ".jsonl"


def read(path: Path) -> list[Utterance]:
    return [to_utterance(fields, path.parent, where) for where, fields in json_lines(path)]
