"""A new form of recordings is a file and a name."""

import csv
from types import SimpleNamespace

import pytest

from codec.recordings import manifest
from codec.recordings.manifest import read_manifest
from codec.recordings.readers import READERS
from codec.recordings.utterance import Utterance


def read_csv(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [Utterance(row["path"], text=row["text"], duration_s=float(row["seconds"])) for row in rows]


def test_another_form(tmp_path, monkeypatch):
    path = tmp_path / "m.csv"
    path.write_text("path,text,seconds\na.flac,some words,2.5\n")
    with pytest.raises(ValueError, match=r"m\.csv: expected a \.jsonl manifest or a folder of .* or a \.tar shard"):
        read_manifest(path)
    reader = SimpleNamespace(FORM="a table", accepts=lambda path: path.suffix == ".csv", read=read_csv)
    monkeypatch.setattr(manifest, "READERS", (*READERS, reader))
    assert read_manifest(path) == [Utterance("a.flac", text="some words", duration_s=2.5)]
