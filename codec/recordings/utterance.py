"""One recording and its labels, and how a record of any manifest becomes one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec.recordings.media import segment

_REMEDY = "correct or delete the line"
_LABELS = {  # names in manifests, sidecars and tables
    "text": ("text", "transcript", "transcription", "sentence"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "language": ("language", "lang", "source_lang", "locale"),
    "source": ("source",),
}


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording; `path` is an address as `codec.recordings.media.open_recording` takes it."""

    path: str
    text: str | None = None
    speaker: str | None = None
    language: str | None = None
    duration_s: float | None = None
    source: str | None = None
    id: str = ""


def to_utterance(fields: Mapping[str, Any], home: str | Path, where: str) -> Utterance:
    """Convert a record: `path` from the folder `home` on, and any of `start_s`, `duration_s`, `id` and the labels.

    With `start_s` it is a segment of a file. The default `id` is the path as given, with the segment. Unknown fields
    are ignored.

    Raises:
        ValueError: a field is missing or wrong; the message begins with `where`.
    """
    path, start, duration = (fields.get(name) for name in ("path", "start_s", "duration_s"))
    if not isinstance(path, str) or not path:
        raise ValueError(f"{where}: has no path of a recording; {_REMEDY}")
    if not (duration is None or (_is_number(duration) and 0 < duration < float("inf"))):
        raise ValueError(f"{where}: duration_s = {duration!r}, expected seconds above 0; {_REMEDY}")
    if start is not None:
        if not (_is_number(start) and 0 <= start < float("inf")) or duration is None:
            raise ValueError(f"{where}: start_s = {start!r}, expected seconds from 0 on, and duration_s; {_REMEDY}")
        path = segment(path, start, duration)
    return Utterance(os.path.join(home, path), **labels(fields), duration_s=duration, id=str(fields.get("id") or path))


def labels(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the labels of an utterance among the fields of a record; empty ones count as absent."""
    found = {label: [fields[n] for n in names if fields.get(n) not in (None, "")] for label, names in _LABELS.items()}
    return {label: str(values[0]) for label, values in found.items() if values}


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


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
