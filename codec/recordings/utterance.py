"""One recording and its labels, and manifests: files with an `Utterance` a line."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REMEDY = "correct or delete the line, or write the manifest again with python -m train.data.manifest"
_LABELS = ("text", "speaker", "language", "source")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording; `path` is a file, or for training `shard.tar::member.flac`."""

    path: str
    text: str | None = None
    speaker: str | None = None
    language: str | None = None
    duration_s: float | None = None
    source: str | None = None
    id: str = ""


def read_lines(path: Path) -> list[Utterance]:
    """Read a manifest: one JSON object per line with at least `path`, relative to the manifest's folder.

    The default `id` of an utterance is its path as given. Unknown fields are ignored.

    Raises:
        ValueError: a bad line, named with its number.
        OSError: the file cannot be read.
    """
    lines = read_text(path).split("\n")  # texts may hold other ends of lines
    return [_parse(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it is not UTF-8; the message names the file.
        OSError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: no UTF-8 ({error}); save it as UTF-8") from error


def labels(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the labels of an utterance among the fields of a JSON object; empty ones count as absent."""
    return {name: str(fields[name]) for name in _LABELS if fields.get(name) not in (None, "")}


def _parse(line: str, path: Path, number: int) -> Utterance:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{number}: not JSON ({error}); {_REMEDY}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("path"), str):
        raise ValueError(f'{path}:{number}: expected an object with a "path"; {_REMEDY}')
    duration = fields.get("duration_s")
    if not (duration is None or (isinstance(duration, int | float) and 0 < duration < float("inf"))):
        raise ValueError(f"{path}:{number}: duration_s = {duration!r}, expected seconds above 0; {_REMEDY}")
    name = str(fields.get("id") or fields["path"])
    return Utterance(os.path.join(path.parent, fields["path"]), **labels(fields), duration_s=duration, id=name)
