"""Cuts of lhotse: a manifest, or a folder of shards in its Shar format.

Only the fields that say where a recording is and what is said there are read, so the package is not needed:
https://lhotse.readthedocs.io/en/latest/cuts.html. Paths that are not absolute start at the working directory, as there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codec.files import AUDIO_SUFFIXES
from codec.recordings.media import list_members
from codec.recordings.readers.records import first_fields, json_lines
from codec.recordings.utterance import Utterance, to_utterance

FORM = "lhotse cuts"
_SUFFIXES = (".jsonl", ".jsonl.gz")
_SLACK_S = 1e-3  # durations are rounded


def accepts(path: Path) -> bool:
    if path.is_dir():
        return bool(_shards(path))
    return path.name.endswith(_SUFFIXES) and str(first_fields(path).get("type")).endswith("Cut")


def read(path: Path) -> list[Utterance]:
    return [_utterance(*line, file) for file in _shards(path) or [path] for line in json_lines(file)]


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("cuts.*.jsonl.gz"))


def _utterance(where: str, cut: dict[str, Any], manifest: Path) -> Utterance:
    try:
        return _from_cut(where, cut, manifest)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{where}: not a cut of lhotse ({error!r}); write the manifest again") from error


def _from_cut(where: str, cut: dict[str, Any], manifest: Path) -> Utterance:
    name = f"{where}: {cut['type']} {cut['id']}"
    if cut["type"] != "MonoCut":
        raise ValueError(f"{name}: expected a MonoCut; save it to a file with lhotse")
    recording = cut["recording"]
    if [source["channels"] for source in recording["sources"]] != [[cut["channel"]]]:
        raise ValueError(f"{name}: one of several channels; save it to a file with lhotse")
    if recording.get("transforms"):
        raise ValueError(f"{name}: has transforms, which lhotse applies as it reads; save it to a file with lhotse")
    (source,) = recording["sources"]
    fields = {"id": cut["id"], "duration_s": cut["duration"], **_labels(cut)}
    if source["type"] == "shar":
        fields["path"] = _member(where, cut["id"], manifest)
    elif source["type"] == "file":
        fields["path"] = source["source"]
        if cut["start"] > 0 or cut["duration"] < recording["duration"]:
            fields["start_s"] = cut["start"]
    else:
        raise ValueError(f"{name}: its recording is a {source['type']}; expected a file")
    return to_utterance(fields, "" if source["type"] == "file" else manifest.parent, where)


def _labels(cut: dict[str, Any]) -> dict[str, str]:
    """Texts one after the other, unless one of them is only partly in the cut; what all have the same of the others."""
    supervisions = cut["supervisions"]
    found: dict[str, str] = {}
    if all(s["start"] > -_SLACK_S and s["start"] + s["duration"] < cut["duration"] + _SLACK_S for s in supervisions):
        found["text"] = " ".join(s["text"] for s in supervisions if s.get("text"))
    for name in ("speaker", "language"):
        values = {s.get(name) for s in supervisions}
        if len(values) == 1:
            found[name] = values.pop()
    return found


def _member(where: str, name: str, cuts: Path) -> str:
    """The recording of a cut in a shard of the same number: `recording.000000.tar` beside `cuts.000000.jsonl.gz`."""
    shard = cuts.name.replace("cuts", "recording", 1).removesuffix(".jsonl.gz") + ".tar"
    members = list_members(str(cuts.parent / shard)) if (cuts.parent / shard).is_file() else {}
    for suffix in AUDIO_SUFFIXES:
        if name + suffix in members:
            return f"{shard}::{name}{suffix}"
    raise ValueError(f"{where}: no audio of cut {name} in {cuts.parent / shard}; copy the shard again")
