"""Single tar shards, uncompressed: audio files, with labels in files beside them."""

from pathlib import Path

from codec.recordings.readers.sidecars import labelled
from codec.recordings.utterance import Utterance

FORM = "a .tar shard"


def accepts(path: Path) -> bool:
    return path.suffix == ".tar" and path.is_file()


def read(path: Path) -> list[Utterance]:
    return labelled(path)
