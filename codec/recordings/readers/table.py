"""Tables with a header, `.csv` or `.tsv`: a column of paths from the table's folder on, and any of our fields."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from codec.recordings.readers.records import TABLES, table
from codec.recordings.utterance import Utterance, to_utterance

FORM = "a .csv or .tsv table"
_COLUMNS = {  # other names of ours
    "file_name": "path",
    "audio_filepath": "path",
    "wav": "path",
    "start": "start_s",
    "offset": "start_s",
    "duration": "duration_s",
    "ID": "id",
}


def accepts(path: Path) -> bool:
    return path.suffix in TABLES


def read(path: Path) -> list[Utterance]:
    return [to_utterance(_ours(fields), path.parent, where) for where, fields in table(path)]


def _ours(fields: dict[str, Any]) -> dict[str, Any]:
    ours = {_COLUMNS.get(name, name): value for name, value in fields.items()}
    for name in ("start_s", "duration_s"):
        with suppress(KeyError, ValueError):  # what is no number is an error later, which names it
            ours[name] = float(ours[name])
    return ours
