"""Folders of audio files and of tar shards, at any depth, with labels in files beside them."""

from pathlib import Path

from codec.recordings.readers.sidecars import labelled
from codec.recordings.utterance import Utterance

FORM = "a folder of audio or tar shards"


def accepts(path: Path) -> bool:
    return path.is_dir()


def read(path: Path) -> list[Utterance]:
    return labelled(path)
