"""Test sets: recordings, each with an id of its own."""

from __future__ import annotations

from pathlib import Path

from codec.recordings.manifest import list_utterances
from codec.recordings.utterance import Utterance, read_text


def read_testset(source: str | Path, ids: str | Path | None = None) -> list[Utterance]:
    """Read a test set; all ids differ.

    Args:
        source: as `codec.recordings.manifest.list_utterances` takes it.
        ids: a file with an id a line; only these are kept, in this order.

    Raises:
        ValueError: a bad line, an id that occurs twice or is missing, or no recordings; the message names it.
        OSError: a file cannot be read.
    """
    found: dict[str, Utterance] = {}
    for utterance in list_utterances(source):
        if utterance.id in found:
            raise ValueError(f"{source}: id {utterance.id} occurs twice; ids name files of results")
        found[utterance.id] = utterance
    if ids is not None:
        wanted = dict.fromkeys(read_text(Path(ids)).split())
        if absent := [name for name in wanted if name not in found]:
            raise ValueError(f"{ids}: {len(absent)} ids are not in {source}, the first is {absent[0]}")
        found = {name: found[name] for name in wanted}
    if not found:
        raise ValueError(f"{source}: no recordings; give a manifest with lines or a folder with audio files")
    return list(found.values())
