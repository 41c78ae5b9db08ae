"""Texts that speech models speak, and the voices for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codec.recordings.utterance import Utterance, read_text
from eval.testsets import read_testset

VOICE_SUFFIX = ".safetensors"  # of voice files; other files are recordings


@dataclass(frozen=True)
class Item:
    """One text in one voice."""

    id: str  # unique; names files of results
    text: str
    language: str  # as in "en-US"
    voices: tuple[Path, ...]  # recordings or voice files; the first usable one is taken
    speaker: str = ""
    recording: Path | None = None  # of the speaker saying the text


def items_of_testset(
    utterances: Sequence[Utterance], references: Sequence[Utterance], language: str
) -> tuple[list[Item], dict[str, str]]:
    """Return the texts of a test set, each with other recordings of its speaker for the voice.

    They begin with the one after the recording of the text, so that all are used; those of the same text are left out.

    Args:
        utterances: of the test set.
        references: recordings to take voices from; may be the test set itself.
        language: of utterances without one.

    Returns:
        The items, and by id why other utterances are left out.
    """
    by_speaker = defaultdict(list)
    for reference in references:
        by_speaker[reference.speaker].append(reference)
    items, left_out = [], {}
    for u in utterances:
        others = [r for r in _after(u, by_speaker[u.speaker]) if r.path != u.path and not (r.text and r.text == u.text)]
        if not u.text:
            left_out[u.id] = "no text"
        elif not u.speaker:
            left_out[u.id] = "no speaker"
        elif not others:
            left_out[u.id] = "no other recording of its speaker"
        else:
            voices = tuple(Path(r.path) for r in others)
            items.append(Item(u.id, u.text, u.language or language, voices, u.speaker, Path(u.path)))
    return items, left_out


def items_of_lines(path: Path, voices: Path, language: str) -> list[Item]:
    """Return every line of a text file in every voice.

    Args:
        path: of the text file; blank lines are skipped.
        voices: a folder of voice files, or recordings as `read_testset` takes them, each of which is a voice.
        language: of all lines.

    Raises:
        ValueError: no line, no voice, or two voices of one name.
        OSError: a file cannot be read.
    """
    lines = [line.strip() for line in read_text(path).splitlines()]
    texts = {f"line {number}": line for number, line in enumerate(lines, 1) if line}
    if not texts:
        raise ValueError(f"{path}: no text in it; expected a text a line")
    by_name = {file.stem: file for file in sorted(voices.glob(f"*{VOICE_SUFFIX}"))} if voices.is_dir() else {}
    by_name = by_name or {u.id: Path(u.path) for u in read_testset(voices)}
    return [
        Item(f"{place}, {name}", text, language, (voice,), speaker=name)
        for name, voice in by_name.items()
        for place, text in texts.items()
    ]


def _after(utterance: Utterance, recordings: list[Utterance]) -> list[Utterance]:
    """Rotate the recordings so that they begin after the utterance, if it is among them."""
    paths = [r.path for r in recordings]
    place = paths.index(utterance.path) + 1 if utterance.path in paths else 0
    return recordings[place:] + recordings[:place]
