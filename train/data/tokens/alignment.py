"""Alignments of token shards: the text of each recording as a model reads it, with the duration of each character.

They are stored beside the shards: `00000.align.jsonl` with a line per utterance, and `align.json` with the settings.
`python -m train.data.tokens.align` writes them, for training the design "aligned" of `codec.tts.sequence`.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from codec.dataset.folder import shard_path
from codec.files import write_json_lines
from codec.tts.text.phonemes import as_read
from codec.tts.text.tokenizer import TextTokenizer
from train.data.tokens.shards import TokenLine, TokenSet

INDEX, SUFFIX = "align.json", ".align.jsonl"
COMMAND = "python -m train.data.tokens.align"


@dataclass(frozen=True)
class Alignment:
    """Alignment of one utterance."""

    text: str  # as the model reads it: normalised, perhaps phonemes
    durations: list[int]  # frames of each character; their sum is the utterance's number of frames

    def moves(self, tokenizer: TextTokenizer, max_move: int) -> list[int] | None:
        """Text ids to move on after each frame, 0 to `max_move` each; after the last frame, to the end of the text.

        None if the text is too fast for `max_move`.
        """
        spans = tokenizer.spans(self.text)
        ends = [end for _, end in spans]
        places = [bisect_right(ends, character) for character, n in enumerate(self.durations) for _ in range(n)]
        moves, place = [], 0
        for target in [*places[1:], len(spans)]:
            moves.append(min(target - place, max_move))
            place += moves[-1]
        return moves if place == len(spans) else None


def write_alignments(folder: Path, number: int, alignments: Sequence[Alignment | None]) -> None:
    """Write the alignments of a shard; None for an utterance without one."""
    write_json_lines(shard_path(folder, number, SUFFIX), (alignment and asdict(alignment) for alignment in alignments))


def read_alignments(tokens: TokenSet, phonemes: bool) -> list[Alignment | None]:
    """Read the alignments of all utterances, in order.

    Args:
        tokens: the utterances.
        phonemes: whether the model reads phonemes.

    Raises:
        ValueError: missing or damaged alignments, or those of other shards or of the other kind of text.
    """
    folder = tokens.folder
    remedy = f"run {COMMAND} {folder}{' --phonemes' if phonemes else ''}"
    if not (folder / INDEX).is_file():
        raise ValueError(f"{folder}: no alignments; {remedy}")
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        lines: list[Any] = []
        for number in range(index["n_shards"]):
            lines += map(json.loads, shard_path(folder, number, SUFFIX).read_text(encoding="utf-8").splitlines())
        alignments = [line and Alignment(**line) for line in lines]
        sums = [alignment and sum(alignment.durations) for alignment in alignments]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{folder}: damaged alignments ({error!r}); {remedy}") from error
    if index.get("phonemes") != phonemes:
        raise ValueError(f"{folder}: aligned with {'words' if phonemes else 'phonemes'}; {remedy}")
    if len(sums) != len(tokens) or any(
        s not in (None, line.n_frames) for s, line in zip(sums, tokens.lines, strict=True)
    ):
        raise ValueError(f"{folder}: alignments of other shards; {remedy}")
    return alignments


def text_as_read(line: TokenLine, phonemes: bool) -> str:
    """Text of an utterance as a model reads it, "" if it has none; raises as `as_read`."""
    return as_read(line.text, line.language or "en", phonemes) if line.text else ""


def durations(starts: Sequence[int], n_frames: int) -> list[int]:
    """Durations in frames of N characters that start in frames `starts` `[N]`, ascending.

    A frame belongs to the last character that starts in it; frames before the first belong to the first.
    """
    edges = [0, *starts[1:], n_frames]
    return [stop - start for start, stop in pairwise(edges)]
