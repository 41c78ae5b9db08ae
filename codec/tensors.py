"""Safetensors files: atomic, and byte-identical for the same content."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from codec.files import atomic_file

_SIZE = struct.Struct("<Q")  # bytes of the header, at the start of the file


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Save tensors and metadata, by name."""
    with atomic_file(path) as new:
        save_file({name: t.contiguous() for name, t in tensors.items()}, new, {"format": "pt", **metadata})
        _sort_metadata(new)


def _sort_metadata(path: Path) -> None:
    """Sort the metadata, whose order the library changes from process to process."""
    with path.open("r+b") as file:
        (size,) = _SIZE.unpack(file.read(_SIZE.size))
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        content = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(size)
        assert len(content) == size, "other JSON than the library writes"
        file.seek(_SIZE.size)
        file.write(content)
