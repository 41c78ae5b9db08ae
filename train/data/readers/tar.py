"""Single tar shards, uncompressed: audio files, with labels in files beside them."""

from pathlib import Path

from train.data.readers.sidecars import labelled as read

__all__ = ["FORM", "accepts", "read"]

FORM = "a .tar shard"


def accepts(path: Path) -> bool:
    return path.suffix == ".tar" and path.is_file()
