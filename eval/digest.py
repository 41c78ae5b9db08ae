"""Digests that tell whether a file, model or input is the same as before."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import Tensor

_BLOCK = 2**20  # bytes


def digest(*parts: str | bytes | Path | Tensor) -> str:
    """16 hex digits of SHA-256 over texts, bytes, the contents of files, and the values of tensors.

    Raises:
        OSError: a file cannot be read.
    """
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            with part.open("rb") as file:
                while block := file.read(_BLOCK):
                    sha.update(block)
        elif isinstance(part, Tensor):
            sha.update(part.contiguous().numpy(force=True).data)
        elif isinstance(part, str):
            sha.update(part.encode())
        else:
            sha.update(part)
    return sha.hexdigest()[:16]
