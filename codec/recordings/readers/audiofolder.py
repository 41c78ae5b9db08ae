"""Audio folders of Hugging Face: `metadata.csv` or `metadata.jsonl`, with a `file_name`, among audio files.

https://huggingface.co/docs/datasets/audio_dataset
"""

from __future__ import annotations

from pathlib import Path

from codec.recordings.readers.records import json_lines, table
from codec.recordings.utterance import Utterance, labels, to_utterance

FORM = "an audio folder with metadata.csv or metadata.jsonl"


def accepts(path: Path) -> bool:
    return _metadata(path) is not None


def read(path: Path) -> list[Utterance]:
    metadata = _metadata(path)
    assert metadata is not None
    records = table(metadata) if metadata.suffix == ".csv" else json_lines(metadata)
    return [to_utterance({"path": fields.get("file_name"), **labels(fields)}, path, where) for where, fields in records]


def _metadata(folder: Path) -> Path | None:
    return next((folder / name for name in ("metadata.csv", "metadata.jsonl") if (folder / name).is_file()), None)
