"""Data folders of Kaldi: `wav.scp`, and any of `segments`, `text`, `utt2spk` and `utt2lang`.

https://kaldi-asr.org/doc/data_prep.html. Commands in `wav.scp` are refused: nothing in a manifest is ever run. Paths
that are not absolute start at the working directory, as in Kaldi.
"""

from __future__ import annotations

import re
from pathlib import Path

from codec.recordings.readers.records import Record
from codec.recordings.utterance import Utterance, read_text, to_utterance

FORM = "a Kaldi folder with wav.scp"
_LABELS = {"text": "text", "utt2spk": "speaker", "utt2lang": "language"}
_ARCHIVE = re.compile(r"\.ark:\d+$")


def accepts(path: Path) -> bool:
    return (path / "wav.scp").is_file() or path.suffix == ".scp"


def read(path: Path) -> list[Utterance]:
    scp = path / "wav.scp" if path.is_dir() else path
    recordings = {name: (where, _path(address, where)) for name, (where, address) in _map(scp).items()}
    segments = scp.with_name("segments")
    records = _segments(segments, recordings) if segments.is_file() else _whole(recordings)
    for file, label in _LABELS.items():
        values = _map(scp.with_name(file)) if scp.with_name(file).is_file() else {}
        records = [(where, {**fields, label: values.get(fields["id"], ("", ""))[1]}) for where, fields in records]
    return [to_utterance(fields, "", where) for where, fields in records]


def _map(path: Path) -> dict[str, tuple[str, str]]:
    """Read lines of a name and the rest, with where it is."""
    lines = ((f"{path}:{number}", line.split(maxsplit=1)) for number, line in enumerate(read_text(path).split("\n"), 1))
    return {parts[0]: (where, parts[1].strip()) for where, parts in lines if len(parts) == 2}


def _path(address: str, where: str) -> str:
    if address.startswith("|") or address.endswith("|"):
        raise ValueError(f"{where}: {address!r} is a command, which is never run; write its output to a file")
    if _ARCHIVE.search(address):
        raise ValueError(f"{where}: {address!r} is in an archive; write it to a file with wav-copy")
    return address


def _whole(recordings: dict[str, tuple[str, str]]) -> list[Record]:
    return [(where, {"id": name, "path": path}) for name, (where, path) in recordings.items()]


def _segments(path: Path, recordings: dict[str, tuple[str, str]]) -> list[Record]:
    records = []
    for name, (where, rest) in _map(path).items():
        try:
            recording, start, end = rest.split()[:3]
            fields = {"id": name, "path": recordings[recording][1], "start_s": float(start)}
            records.append((where, {**fields, "duration_s": float(end) - float(start)}))
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{where}: expected UTTERANCE RECORDING START END, with a recording of wav.scp, not {rest!r}"
            ) from error
    return records
