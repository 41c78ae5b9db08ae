"""Folders of audio files and of tar shards, at any depth, with labels in files beside them."""

from pathlib import Path

from train.data.readers.sidecars import labelled as read

__all__ = ["FORM", "accepts", "read"]

FORM = "a folder of audio or tar shards"


def accepts(path: Path) -> bool:
    return path.is_dir()
