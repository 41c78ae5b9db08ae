"""Training sequences for TTS from token shards: a reference, a text, and the frames to predict (section 3.1).

Item i of the endless dataset is a row of `row_steps` positions packed with whole samples; it depends on the seed and i
alone. A sample is a clip as the voice, and text and frames of another clip of the same speaker, in the order of
`codec.tts.sequence`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.settings import AtLeast1, NonNegativeFloat, NonNegativeInt, Settings, require
from codec.tts.config import SequenceConfig
from codec.tts.model import TTSBatch, as_frames
from codec.tts.sequence import NONE, Step, speech_steps, text_ids, voice_steps
from codec.tts.text.tokenizer import TextTokenizer
from train.data.sources import Sources
from train.data.tokens.alignment import Alignment, read_alignments, text_as_read
from train.data.tokens.rewrite import rewrite
from train.data.tokens.shards import TokenSet, TokenUtterance

MAX_ATTEMPTS = 100


@dataclass
class SpeechDataConfig(Settings):
    """Token shards to train TTS on and how to pack them; paths are folders of `train.data.tokens.tokenize`."""

    train: Sources  # training data: a path, or {NAME: {path: PATH, weight: 1}, ...} for several sources
    valid: str | None = None  # validation data, a path; null: no validation
    reference_s: tuple[float, float] = (1.0, 6.0)  # seconds of the voice, drawn uniformly; at most the clip
    row_steps: AtLeast1 = 512  # positions of a packed row
    batch_size: AtLeast1 = 4  # rows over all ranks, before accumulation
    num_workers: NonNegativeInt = 1  # processes per rank; 0 reads in the training process
    rewrite_prob: float = 0.1  # probability of rewriting numbers between digits and words
    silence_weight: float = 0.5  # of frames without speech, in the losses ...
    long_silence_s: NonNegativeFloat = 1.0  # ... 0 in silence longer than this, in seconds
    frame_dropout: float = 0.0  # share of the predicted frames that are hidden as later input

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.train), "train", self.train, "a folder of token shards, or several by name")
        low, high = self.reference_s
        require(0 < low <= high, "reference_s", self.reference_s, "[low, high] in seconds above 0")
        for name in ("rewrite_prob", "silence_weight", "frame_dropout"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a number from 0 to 1")


@dataclass(frozen=True)
class Sample:
    """One sequence of S positions; P of them predict a frame."""

    text: Tensor  # [S, W] int64
    frames: Tensor  # [S, K] int64
    target_positions: Tensor  # [P] int64, in [0, S)
    targets: Tensor  # [P, K] int64
    moves: Tensor  # [P] int64
    weights: Tensor  # [P] float32


@dataclass
class SpeechBatch(TTSBatch):
    """A batch with the methods that the training loop and the loader need."""

    def to(self, device: torch.device | str) -> SpeechBatch:
        return replace(self, **{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})

    def pin_memory(self) -> SpeechBatch:
        """Called by torch's loader, so that `to` does not block."""
        return replace(self, **{f.name: getattr(self, f.name).pin_memory() for f in fields(self)})


class SpeechDataset:
    """Endless packed rows of (voice, text, frames) samples.

    Args:
        tokens: encoded recordings; targets are those with a text and another recording of the same speaker.
        tokenizer: of the text.
        sequence: order of text and frames.
        config: packing and weights.
        seed: of all random choices.
        phonemes: whether the model reads phonemes instead of words.

    Raises:
        ValueError: nothing to learn from.
    """

    def __init__(
        self,
        tokens: TokenSet,
        tokenizer: TextTokenizer,
        sequence: SequenceConfig,
        config: SpeechDataConfig,
        seed: int,
        phonemes: bool = False,
    ) -> None:
        self.tokens, self.tokenizer, self.sequence, self.config, self.seed = tokens, tokenizer, sequence, config, seed
        self.phonemes = phonemes
        self.by_speaker: dict[str, list[int]] = defaultdict(list)
        self.place: dict[int, int] = {}  # index of a recording among those of its speaker
        for i, line in enumerate(tokens.lines):
            if line.speaker:
                self.place[i] = len(self.by_speaker[line.speaker])
                self.by_speaker[line.speaker].append(i)
        self.targets = [
            i for i, line in enumerate(tokens.lines) if line.text and len(self.by_speaker[line.speaker or ""]) > 1
        ]
        self.alignments: dict[int, Alignment] = {}  # empty for other designs
        if sequence.design == "aligned":
            self.alignments = {i: a for i, a in enumerate(read_alignments(tokens, phonemes)) if a}
            self.targets = [i for i in self.targets if i in self.alignments]
        if not self.targets:
            raise ValueError(f"{tokens.folder}: no recording has a text and another one of the same speaker beside it")

    def __getitem__(self, i: int) -> list[Sample]:
        """Samples of row i; together they fit in `row_steps` positions."""
        rng = np.random.default_rng((self.seed, i))
        row: list[Sample] = []
        left, n_failed = self.config.row_steps, 0
        while n_failed < MAX_ATTEMPTS:
            sample = self.sample(int(rng.choice(self.targets)), rng)
            if sample is None or (len(sample.text) > left and not row):  # longer than a whole row
                n_failed += 1
                continue
            if len(sample.text) > left:
                return row
            row.append(sample)
            left, n_failed = left - len(sample.text), 0
        if row:
            return row
        raise ValueError(
            f"data.row_steps = {self.config.row_steps}: {MAX_ATTEMPTS} samples in a row are longer, have no words, or "
            "end before their text is read; give longer rows or a design that reads text faster"
        )

    @property
    def hours(self) -> float:
        """Total duration of all utterances, targets or only voices."""
        return sum(line.n_frames for line in self.tokens.lines) / self.tokens.info.frame_rate / 3600

    def sample(self, target: int, rng: np.random.Generator) -> Sample | None:
        """Sample of recording `target` with a random reference.

        None if the design reads text too slowly for it, or nothing of its text is read, as of emoji alone.
        """
        utterance = self.tokens[target]
        reference = self.reference(target, rng)
        text, moves = self.text(target), self.moves(target)
        if moves is None or not text:
            return None
        if rng.random() < self.config.rewrite_prob and not self.phonemes and not moves:
            text = rewrite(utterance.text or "", utterance.language or "en", rng)
        weights = self.weights(utterance)
        sample = arrange(self.sequence, self.tokenizer, reference, text, utterance.codes, weights, moves)
        if sample is not None and self.config.frame_dropout:
            dropped = torch.from_numpy(rng.random(len(sample.frames)) < self.config.frame_dropout)
            dropped[: int(sample.target_positions[0])] = False  # the voice
            sample.frames[dropped] = NONE
        return sample

    def text(self, target: int) -> str:
        """Text of a recording as the model reads it."""
        if self.alignments:
            return self.alignments[target].text
        return text_as_read(self.tokens.lines[target], self.phonemes)

    def moves(self, target: int) -> Sequence[int] | None:
        """Moves in the text after each frame, empty for designs without; None if the text is too fast."""
        if not self.alignments:
            return ()
        return self.alignments[target].moves(self.tokenizer, self.sequence.max_move)

    def reference(self, target: int, rng: np.random.Generator) -> Tensor:
        """Codes `[K, R]` int16 of a random span of another recording of the same speaker."""
        others = self.by_speaker[self.tokens.lines[target].speaker or ""]
        another = self.place[target] + 1 + int(rng.integers(len(others) - 1))
        codes = self.tokens[others[another % len(others)]].codes
        length = max(1, round(rng.uniform(*self.config.reference_s) * self.tokens.info.frame_rate))
        start = int(rng.integers(max(1, codes.shape[1] - length + 1)))
        return codes[:, start : start + length]

    def weights(self, utterance: TokenUtterance) -> Tensor:
        """Loss weights of frames, `[T]` float32, by voice activity."""
        c = self.config
        quiet = (utterance.activity < 128).numpy()
        weights = np.where(quiet, c.silence_weight, 1.0).astype(np.float32)
        longest = round(c.long_silence_s * self.tokens.info.frame_rate)
        weights[run_lengths(quiet) > longest] = 0.0
        return torch.from_numpy(weights)

    def collate(self, rows: Sequence[list[Sample]]) -> SpeechBatch:
        """Pack rows to a batch."""
        return pack(rows, self.config.row_steps)


def texts_as_read(tokens: TokenSet, sequence: SequenceConfig, phonemes: bool) -> list[str]:
    """Text of each utterance as a model reads it, "" where there is none; raises as `as_read`."""
    if sequence.design == "aligned":
        return [alignment.text if alignment else "" for alignment in read_alignments(tokens, phonemes)]
    return [text_as_read(line, phonemes) for line in tokens.lines]


def arrange(
    sequence: SequenceConfig,
    tokenizer: TextTokenizer,
    reference: Tensor,
    text: str,
    codes: Tensor,
    weights: Tensor | None = None,
    moves: Sequence[int] = (),
) -> Sample | None:
    """Arrange reference codes `[K, R]`, a text, and codes `[K, T]` to predict as one training sequence.

    `weights` `[T]` weigh the frames, 1 by default; `moves` are T numbers for the design "aligned". None if the audio
    ends before its text is read.
    """
    inputs = torch.cat([as_frames(reference), as_frames(codes)])  # [R + 1 + T + 1, K]
    n_voice, n_frames = reference.shape[1] + 1, codes.shape[1]
    steps = list(voice_steps(tokenizer.special, n_voice))
    steps += _until(speech_steps(sequence, tokenizer.special, tokenizer.encode(text), moves), n_frames + 1)
    if not steps[-1].may_end:
        return None
    reads_frame = torch.tensor([step.reads_frame for step in steps])
    predicts_frame = torch.tensor([step.predicts_frame for step in steps])
    frames = torch.full((len(steps), len(codes)), NONE)
    frames[reads_frame] = inputs[: int(reads_frame.sum())]
    weights = torch.ones(n_frames) if weights is None else weights
    return Sample(
        text_ids(steps, sequence.text_width),
        frames,
        predicts_frame.nonzero()[:, 0],
        inputs[n_voice:],
        torch.tensor([*(moves or [NONE] * n_frames), NONE]),
        torch.cat([weights, torch.ones(1)]),
    )


def pack(rows: Sequence[list[Sample]], n_steps: int) -> SpeechBatch:
    """Pack samples in rows of `n_steps` positions, padded with NONE."""
    samples = list(chain.from_iterable(rows))
    text = torch.full((len(rows), n_steps, samples[0].text.shape[1]), NONE)
    frames = torch.full((len(rows), n_steps, samples[0].frames.shape[1]), NONE)
    positions = torch.zeros(len(rows), n_steps, dtype=torch.int64)
    target_positions = []
    for r, row in enumerate(rows):
        start = 0
        for sample in row:
            stop = start + len(sample.text)
            text[r, start:stop], frames[r, start:stop] = sample.text, sample.frames
            positions[r, start:stop] = torch.arange(stop - start)
            target_positions.append(r * n_steps + start + sample.target_positions)
            start = stop
    targets, moves, weights = (
        torch.cat([getattr(s, name) for s in samples]) for name in ("targets", "moves", "weights")
    )
    return SpeechBatch(text, frames, positions, torch.cat(target_positions), targets, moves, weights)


def _until(steps: Iterator[Step], n_predictions: int) -> Iterator[Step]:
    """Steps up to the last of `n_predictions` predictions."""
    for step in steps:
        yield step
        n_predictions -= step.predicts_frame
        if not n_predictions:
            return


def run_lengths(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Length of the run of true flags around each element of `[T]`; 0 where false."""
    lengths = np.zeros(len(flags), np.int64)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        lengths[start:stop] = stop - start
    return lengths
