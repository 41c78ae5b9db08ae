"""Preference pairs: two speeches of a text in one voice, of which one is better, and batches of them to train on.

A folder, as `python -m train.data.pairs.preferences` writes it, holds `index.json` and, for each shard,
`00000.safetensors` with `codes` int16 `[K, T]` of each pair's voice, winner and loser one after the other, and
`00000.jsonl` with a line about each pair.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from codec.files import ESCAPE, atomic_file
from codec.tensors import write_tensors
from codec.tts.config import SequenceConfig
from codec.tts.text.tokenizer import TextTokenizer
from train.data.sources import Endless
from train.data.tokens.sequences import Sample, SpeechBatch, SpeechDataConfig, arrange, pack
from train.data.tokens.shards import has_shard, read_index, shard_path

COMMAND = "python -m train.data.pairs.preferences"
Scores = dict[str, float | None]  # by measure; None where it could not judge


@dataclass(frozen=True)
class PairLine:
    """What is known of a pair without its codes."""

    id: str  # of the recording whose text it is
    text: str  # as the model read it
    language: str | None
    n_frames: list[int]  # of voice, winner and loser
    loser_ended: bool  # by itself; winners always do
    winner_scores: Scores
    loser_scores: Scores
    winner_moves: list[int] = field(default_factory=list)  # after each frame, of a model that predicts moves
    loser_moves: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Pair:
    """A pair with its codes, each int16 `[K, T_i]`."""

    line: PairLine
    voice: Tensor
    winner: Tensor
    loser: Tensor


class PairSet(Sequence[Pair]):
    """The pairs of a folder.

    Raises:
        ValueError: the folder is missing, unfinished, damaged or empty; the message says what to do.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        index = read_index(folder, COMMAND)
        n_shards = index["n_shards"]
        n_there = sum(has_shard(folder, number) for number in range(n_shards))
        if n_there < n_shards:
            raise ValueError(f"{folder}: {n_there} of {n_shards} shards are there; run {COMMAND} again to finish it")
        self.fingerprint: str = index["fingerprint"]  # of the codec
        self._pairs = [pair for number in range(n_shards) for pair in _read_shard(folder, number)]
        if not self._pairs:
            raise ValueError(f"{folder}: no pairs in its {n_shards} shards; make some of more texts or candidates")

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Pair:  # type: ignore[override]
        return self._pairs[index]


def write_pairs(folder: Path, number: int, pairs: Sequence[Pair], n_codebooks: int) -> None:
    """Write a shard, whole or not at all; it may be empty."""
    with (
        atomic_file(shard_path(folder, number, ".jsonl")) as new,
        new.open("w", encoding="utf-8", errors=ESCAPE) as file,
    ):
        for pair in pairs:
            file.write(json.dumps(asdict(pair.line), ensure_ascii=False) + "\n")
    codes = [torch.zeros(n_codebooks, 0, dtype=torch.int16)]
    codes += [part for pair in pairs for part in (pair.voice, pair.winner, pair.loser)]
    # Last: with it, the shard is there.
    write_tensors(shard_path(folder, number, ".safetensors"), {"codes": torch.cat(codes, dim=1)}, {})


def read_lines(folder: Path, number: int) -> list[PairLine]:
    """The lines of a shard.

    Raises:
        ValueError: the file is damaged.
    """
    path = shard_path(folder, number, ".jsonl")
    try:
        with path.open(encoding="utf-8") as file:
            return [PairLine(**json.loads(line)) for line in file]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it and run {COMMAND} again") from error


def _read_shard(folder: Path, number: int) -> Iterator[Pair]:
    lines = read_lines(folder, number)
    path = shard_path(folder, number, ".safetensors")
    try:
        parts = load_file(path)["codes"].split([n for line in lines for n in line.n_frames], dim=1)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it and run {COMMAND} again") from error
    for i, line in enumerate(lines):
        yield Pair(line, *parts[3 * i : 3 * i + 3])


@dataclass
class PreferenceDataConfig(SpeechDataConfig):
    """Pairs to learn from, and what keeps the model from forgetting; `batch_size` counts pairs and rows alike."""

    pairs: str = field(kw_only=True)  # folder of `train.data.pairs.preferences`


@dataclass
class PreferenceBatch:
    """P pairs, and as many rows of pretraining data."""

    speech: SpeechBatch
    pairs: SpeechBatch  # N frames predicted
    speeches: Tensor  # [N] int64, whose each of them is: 2i the winner's of pair i, 2i + 1 its loser's

    def to(self, device: torch.device | str) -> PreferenceBatch:
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def pin_memory(self) -> PreferenceBatch:
        return replace(self, **{f.name: getattr(self, f.name).pin_memory() for f in fields(self)})

    @property
    def n_pairs(self) -> int:
        return len(self.pairs.text) // 2


class PreferenceItem(NamedTuple):
    """A pair as sequences, and a row of pretraining data."""

    winner: Sample
    loser: Sample
    row: list[Sample]


class PreferenceDataset:
    """Pairs in random order, over and over, each beside the next row of `speech`.

    Args:
        pairs: to learn from.
        speech: the pretraining data.
        sequence: how text and frames of both are arranged.
        tokenizer: of the text of both.
        seed: of the order.
    """

    def __init__(
        self,
        pairs: PairSet,
        speech: Endless[SpeechBatch],
        sequence: SequenceConfig,
        tokenizer: TextTokenizer,
        seed: int,
    ) -> None:
        self.pairs, self.speech, self.sequence, self.tokenizer = pairs, speech, sequence, tokenizer
        self.order = np.random.default_rng(seed).permutation(len(pairs))

    def __getitem__(self, i: int) -> PreferenceItem:
        pair = self.pairs[int(self.order[i % len(self.order)])]
        about = self.sequence, self.tokenizer, pair.voice, pair.line.text
        winner = arrange_spoken(*about, pair.winner, True, pair.line.winner_moves)
        loser = arrange_spoken(*about, pair.loser, pair.line.loser_ended, pair.line.loser_moves)
        if winner is None or loser is None:
            raise ValueError(
                f"pair {pair.line.id}: a speech ends before its text is read; the pairs were made by a model with "
                "another tokenizer or design, make them anew with this one"
            )
        return PreferenceItem(winner, loser, self.speech[i])

    def collate(self, items: Sequence[PreferenceItem]) -> PreferenceBatch:
        """Items as one batch; each speech of a pair has a row of its own, as long as the longest."""
        samples = [sample for item in items for sample in (item.winner, item.loser)]
        rows = pack([[sample] for sample in samples], max(len(sample.text) for sample in samples))
        lengths = torch.tensor([len(sample.where) for sample in samples])
        speeches = torch.arange(len(samples)).repeat_interleave(lengths)
        return PreferenceBatch(self.speech.collate([item.row for item in items]), rows, speeches)


def arrange_spoken(
    sequence: SequenceConfig,
    tokenizer: TextTokenizer,
    voice: Tensor,
    text: str,
    codes: Tensor,
    ended: bool,
    moves: Sequence[int] = (),
) -> Sample | None:
    """As `arrange`, for a model's own speech: unless it ended by itself, no END is predicted."""
    sample = arrange(sequence, tokenizer, voice, text, codes, moves=moves)
    if sample is None or ended:
        return sample
    return replace(sample, **{name: getattr(sample, name)[:-1] for name in ("where", "targets", "moves", "weights")})
