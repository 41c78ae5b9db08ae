"""Preference pairs: a better and a worse utterance of a text in one voice; their files, dataset and batches.

A folder written by `python -m train.data.pairs.preferences` holds `index.json` and, for each shard, `00000.safetensors`
with `codes` int16 `[K, T]` (voice, winner and loser of each pair, concatenated) and `00000.jsonl` with a line per pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from codec.dataset.folder import read_index, shard_path
from codec.files import write_json_lines
from codec.tensors import write_tensors
from codec.tts.config import SequenceConfig
from codec.tts.text.tokenizer import TextTokenizer
from train.data.sources import EndlessDataset
from train.data.tokens.sequences import Sample, SpeechBatch, SpeechDataConfig, arrange, pack
from train.data.tokens.shards import check_complete, read_lines

COMMAND = "python -m train.data.pairs.preferences"
Scores = dict[str, float | None]  # by measure; None where it has no value


@dataclass(frozen=True)
class PairLine:
    """Metadata of a pair."""

    id: str  # of the recording with this text
    text: str  # as the model read it
    language: str | None
    n_frames: list[int]  # of voice, winner and loser
    loser_ended: bool  # by an END token; winners always do
    winner_scores: Scores
    loser_scores: Scores
    winner_moves: list[int] = field(default_factory=list)  # in the text after each frame, of the design "aligned"
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
        check_complete(folder, n_shards, COMMAND)
        self.fingerprint: str = index["fingerprint"]  # of the codec
        self._pairs = [pair for number in range(n_shards) for pair in _read_shard(folder, number)]
        if not self._pairs:
            raise ValueError(f"{folder}: no pairs in its {n_shards} shards; make pairs of more texts or candidates")

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Pair:  # type: ignore[override]
        return self._pairs[index]


def write_pairs(folder: Path, number: int, pairs: Sequence[Pair], n_codebooks: int) -> None:
    """Write a shard, which may be empty."""
    write_json_lines(shard_path(folder, number, ".jsonl"), (asdict(pair.line) for pair in pairs))
    codes = [torch.zeros(n_codebooks, 0, dtype=torch.int16)]
    codes += [part for pair in pairs for part in (pair.voice, pair.winner, pair.loser)]
    # Written last: it marks the shard as complete.
    write_tensors(shard_path(folder, number, ".safetensors"), {"codes": torch.cat(codes, dim=1)}, {})


def _read_shard(folder: Path, number: int) -> Iterator[Pair]:
    lines = read_lines(folder, number, PairLine, COMMAND)
    path = shard_path(folder, number, ".safetensors")
    try:
        parts = load_file(path)["codes"].split([n for line in lines for n in line.n_frames], dim=1)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it and run {COMMAND} again") from error
    for i, line in enumerate(lines):
        yield Pair(line, *parts[3 * i : 3 * i + 3])


@dataclass
class PreferenceDataConfig(SpeechDataConfig):
    """Preference pairs and pretraining data; a batch has `batch_size` pairs and as many rows."""

    pairs: str = field(kw_only=True)  # folder of `train.data.pairs.preferences`


@dataclass
class PreferenceBatch:
    """P pairs and P rows of pretraining data."""

    speech: SpeechBatch
    pairs: SpeechBatch  # N frames predicted
    utterance: Tensor  # [N] int64, the utterance of each frame: 2i is the winner of pair i, 2i + 1 its loser

    def to(self, device: torch.device | str) -> PreferenceBatch:
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def pin_memory(self) -> PreferenceBatch:
        return replace(self, **{f.name: getattr(self, f.name).pin_memory() for f in fields(self)})

    @property
    def n_pairs(self) -> int:
        return len(self.pairs.text) // 2


class PreferenceItem(NamedTuple):
    """Sequences of a pair, and a row of pretraining data."""

    winner: Sample
    loser: Sample
    row: list[Sample]


class PreferenceDataset:
    """Endless pairs in random order, each with the next row of `speech`.

    Args:
        pairs: preference pairs.
        speech: pretraining data.
        sequence: order of text and frames, of both.
        tokenizer: of the text of both.
        seed: of the order.
    """

    def __init__(
        self,
        pairs: PairSet,
        speech: EndlessDataset[SpeechBatch],
        sequence: SequenceConfig,
        tokenizer: TextTokenizer,
        seed: int,
    ) -> None:
        self.pairs, self.speech, self.sequence, self.tokenizer = pairs, speech, sequence, tokenizer
        self.order = np.random.default_rng(seed).permutation(len(pairs))

    def __getitem__(self, i: int) -> PreferenceItem:
        pair = self.pairs[int(self.order[i % len(self.order)])]
        about = self.sequence, self.tokenizer, pair.voice, pair.line.text
        winner = arrange_generated(*about, pair.winner, True, pair.line.winner_moves)
        loser = arrange_generated(*about, pair.loser, pair.line.loser_ended, pair.line.loser_moves)
        if winner is None or loser is None:
            raise ValueError(
                f"pair {pair.line.id}: an utterance ends before its text is read; the pairs were made by a model "
                "with another tokenizer or design, make new ones with this one"
            )
        return PreferenceItem(winner, loser, self.speech[i])

    def collate(self, items: Sequence[PreferenceItem]) -> PreferenceBatch:
        """Make a batch; each utterance of a pair gets its own row, padded to the longest."""
        samples = [sample for item in items for sample in (item.winner, item.loser)]
        rows = pack([[sample] for sample in samples], max(len(sample.text) for sample in samples))
        lengths = torch.tensor([len(sample.target_positions) for sample in samples])
        utterance = torch.arange(len(samples)).repeat_interleave(lengths)
        return PreferenceBatch(self.speech.collate([item.row for item in items]), rows, utterance)


def arrange_generated(
    sequence: SequenceConfig,
    tokenizer: TextTokenizer,
    voice: Tensor,
    text: str,
    codes: Tensor,
    ended: bool,
    moves: Sequence[int] = (),
) -> Sample | None:
    """As `arrange`, for the output of a model: END is predicted only if it `ended` by itself."""
    sample = arrange(sequence, tokenizer, voice, text, codes, moves=moves)
    if sample is None or ended:
        return sample
    return replace(
        sample, **{name: getattr(sample, name)[:-1] for name in ("target_positions", "targets", "moves", "weights")}
    )
