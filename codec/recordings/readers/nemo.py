"""Manifests of NVIDIA NeMo: JSON lines with `audio_filepath`, and any of `duration`, `offset`, `text`.

https://docs.nvidia.com/nemo/speech/latest/asr/datasets.html
"""

from pathlib import Path

from codec.recordings.readers.records import first_fields, json_lines
from codec.recordings.utterance import Utterance, labels, to_utterance

FORM = "a NeMo manifest"
_FIELDS = {"audio_filepath": "path", "offset": "start_s", "duration": "duration_s"}


def accepts(path: Path) -> bool:
    return path.suffix in (".json", ".jsonl") and "audio_filepath" in first_fields(path)


def read(path: Path) -> list[Utterance]:
    utterances = []
    for where, fields in json_lines(path):
        if "shard_id" in fields:
            raise ValueError(f"{where}: part of a tarred set, whose files are in shards; give a manifest of files")
        ours = {new: fields.get(old) for old, new in _FIELDS.items()}
        utterances.append(to_utterance({**labels(fields), **ours}, path.parent, where))
    return utterances
