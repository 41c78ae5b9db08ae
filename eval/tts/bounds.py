"""What no speech model can be expected to surpass: recordings of the texts, and what the codec makes of these."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from codec.audio.io import AudioError, read_audio, write_audio
from codec.tokenizer import Tokenizer
from eval.progress import progress
from eval.results import file_of
from eval.run import Lines
from eval.systems.base import SAMPLE_RATE
from eval.tts.items import Item
from eval.tts.speak import Take
from eval.tts.voices import Reference


def recorded(wanted: Sequence[tuple[Item, Reference]]) -> tuple[list[Take], dict[str, str]]:
    """The recordings of the items that have one, and by id why others cannot be read."""
    takes, failures = [], {}
    for item, reference in wanted:
        if item.recording is None:
            continue
        try:
            waveform = read_audio(item.recording, None, SAMPLE_RATE)
        except AudioError as error:
            failures[item.id] = str(error)
            continue
        digest = hashlib.sha256(f"{item.text} {item.language} {reference.digest}".encode())
        digest.update(waveform.numpy().data)
        takes.append(Take(item, reference, digest.hexdigest()[:16], item.recording, len(waveform) / SAMPLE_RATE))
    return takes, failures


def round_trip(name: str, codec: Tokenizer, recordings: Sequence[Take], out: Path, lines: Lines) -> list[Take]:
    """Recordings, encoded and decoded; what the folder of the run has already is taken from it.

    Args:
        name: as in results.
        codec: of a speech model.
        recordings: as `recorded` gives them.
        out: folder of the run.
        lines: what is kept there, by system and id.
    """
    rate, takes = codec.config.sample_rate, []
    for take in progress(recordings, desc=f"{name}: code", unit="file"):
        path = file_of(out, "audio", name, take.item.id)
        made_from = {"system": name, "id": take.item.id, "version": codec.fingerprint, "digest": take.digest}
        if not path.exists() or lines.get(name, take.item.id) != made_from:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, codec.decode(codec.encode(take.path))[0].cpu(), rate)
            lines.add(made_from)
        takes.append(Take(take.item, take.reference, take.digest, path, take.seconds))
    return takes
