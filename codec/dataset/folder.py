"""Folders of numbered shards: `index.json`, which says what determines the shards, and `00000.*`, `00001.*`, ..."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from codec.audio.io import RESAMPLING
from codec.files import write_text
from codec.recordings.manifest import read_manifest
from codec.recordings.utterance import Utterance
from codec.tokenizer import Tokenizer

INDEX = "index.json"
NAMES = ("codec", "model")  # fields of an index that may change when a folder moves


def open_folder(out: Path, index: dict[str, Any], suffix: str, command: str) -> None:
    """Make a folder for the shards of `index` by `command`, or check that an existing one has the same index.

    Raises:
        ValueError: it holds something else, such as files with `suffix` and no index.
    """
    out.mkdir(parents=True, exist_ok=True)
    if not (out / INDEX).exists():
        if any(out.glob(f"*{suffix}")):
            raise ValueError(f"{out}: holds other files (*{suffix}, but no {INDEX}); give an empty folder")
        write_index(out, index)
        return
    there, wanted = read_index(out, command), json.loads(json.dumps(index))
    for name in wanted:
        if name not in NAMES and there.get(name) != wanted[name]:
            raise ValueError(
                f"{out}: made with {name} = {there.get(name)}, this run has {wanted[name]}; resume with the same "
                "source, models and settings, or give another folder"
            )


def read_index(folder: Path, command: str) -> dict[str, Any]:
    """Read the index of a folder; `command` writes such folders.

    Raises:
        ValueError: a missing or damaged index.
    """
    path = folder / INDEX
    if not path.is_file():
        raise ValueError(f"{folder}: no {INDEX} in it; expected a folder written by {command}")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        older = {
            "ordinal": [k > 0 for k in range(len(index.get("codebook_sizes", ())))],  # all codecs were "split"
            "resampling": "soxr HQ",
        }
        return older | dict(index)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: damaged ({error}); write the folder again with {command}") from error


def write_index(folder: Path, index: dict[str, Any], name: str = INDEX) -> None:
    """Write `index.json`: the codec, `n_shards`, and all else that determines the shards."""
    write_text(folder / name, json.dumps(index) + "\n")


def describe(tokenizer: Tokenizer, utterances: Iterable[Utterance], n_shards: int) -> dict[str, Any]:
    """What every index says: the codec, the source and the number of shards."""
    c = tokenizer.config
    return {
        "fingerprint": tokenizer.fingerprint,
        "codebook_sizes": c.codebook_sizes,
        "ordinal": c.quantizer.ordinal,
        "frame_rate": c.frame_rate,
        "sample_rate": c.sample_rate,
        "hop_length": c.hop_length,
        "resampling": f"soxr {RESAMPLING}",
        "source_digest": digest(utterances),
        "n_shards": n_shards,
    }


def read_source(source: str | Path) -> list[Utterance]:
    """Read the utterances of a source of `read_manifest`, with paths for any working folder; errors as there."""
    return [replace(u, path=os.path.abspath(u.path)) for u in read_manifest(source)]


def digest(utterances: Iterable[Utterance]) -> str:
    """16 hex digits that identify a source."""
    found = hashlib.sha256()
    for u in utterances:
        found.update(json.dumps([u.id, u.duration_s, u.text, u.speaker, u.language]).encode())
    return found.hexdigest()[:16]


def shard_path(folder: Path, number: int, suffix: str) -> Path:
    """Path of a file of a shard."""
    return folder / f"{number:05d}{suffix}"
