"""Labels of audio files in sidecar files: `a.txt` or `a.lab` and `a.json` beside `a.flac`."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

from codec.files import AUDIO_SUFFIXES, FOREIGN_SUFFIXES
from codec.recordings.media import SEPARATOR, list_files, read_bytes
from codec.recordings.utterance import Utterance, labels

_UNREAD = "unread"  # field of a recording: an unreadable sidecar and the reason


def labelled(source: Path) -> list[Utterance]:
    """List the recordings of a folder or shard with their labels; warns of unreadable ones."""
    names = list_files(source)
    known = set(names)
    lines = {name: read_sidecars(name, known) for name in names if is_audio(name)}
    warn_of_unread(lines.values())
    return [Utterance(name, **labels(line)) for name, line in lines.items()]


def is_audio(address: str) -> bool:
    """Whether the suffix is that of audio, even if its format is not supported: opening it then gives an error."""
    return os.path.splitext(address)[1].lower() in (*AUDIO_SUFFIXES, *FOREIGN_SUFFIXES)


def read_sidecars(address: str, known: set[str]) -> dict[str, Any]:
    """Read the labels of a recording; the field `unread` names an unreadable sidecar."""
    fields: dict[str, Any] = {}
    unread: dict[str, str] = {}
    for stem, suffix in product(_stems(address), (".lab", ".txt", ".json")):
        if (sidecar := stem + suffix) not in known:
            continue
        content = bytes(read_bytes(sidecar))
        try:
            fields |= json.loads(content) if suffix == ".json" else {"text": content.decode("utf-8-sig").strip()}
        except (ValueError, TypeError) as error:  # not JSON, not UTF-8, or not an object
            unread[_UNREAD] = f"{sidecar}: {error}; save it as UTF-8, or delete it"
    return labels(fields) | unread


def _stems(address: str) -> dict[str, None]:
    """The address without its suffix; before it, in shards, that without all of them: WebDataset's key of a sample."""
    shard, separator, member = address.rpartition(SEPARATOR)
    folder, name = os.path.split(member)
    key = shard + separator + os.path.join(folder, name.partition(".")[0])
    return dict.fromkeys(([key] if separator else []) + [os.path.splitext(address)[0]])


def warn_of_unread(lines: Iterable[dict[str, Any]]) -> None:
    """Warn once of all lines with an unreadable sidecar."""
    unread = [line[_UNREAD] for line in lines if _UNREAD in line]
    if unread:
        warnings.warn(
            f"{len(unread)} recordings are used without their transcript, which is unreadable; the first: {unread[0]}",
            stacklevel=3,
        )
