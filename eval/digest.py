"""Digests that tell whether a file, model or input is the same as before."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import Tensor


def digest(*parts: str | bytes | Path | Tensor) -> str:
    """16 hex digits of SHA-256 over texts, bytes, the contents of files, and the values of tensors.

    Raises:
        OSError: a file cannot be read.
    """
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            with part.open("rb") as file:
                hashlib.file_digest(file, lambda: sha)  # goes on with it
        elif isinstance(part, Tensor):
            sha.update(part.contiguous().numpy(force=True).data)
        elif isinstance(part, str):
            sha.update(part.encode())
        else:
            sha.update(part)
    return sha.hexdigest()[:16]
