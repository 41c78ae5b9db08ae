"""`python -m train.data.tokens.align TOKENS ...`: align the characters of texts with recordings.

A small network learns by CTC to recognise the characters from the codes of these recordings; forced alignment of its
output with the text gives the start of each character. The network is not kept.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import torch
import torch.nn.functional as F
import torchaudio.functional
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from codec.dataset.encoding import split_by_size
from codec.dataset.folder import write_index
from codec.settings import PositiveFloat, PositiveInt, Settings
from eval.command import command, reports_errors
from eval.ctc import steps_needed
from eval.progress import progress
from train.data.tokens.alignment import INDEX, Alignment, durations, text_as_read, write_alignments
from train.data.tokens.shards import TokenInfo, TokenSet

BLANK = 0  # symbol of CTC; characters follow
STEPS_PER_FRAME = 4  # of CTC: 50 Hz at 12.5 frames per second, above the rate of characters
KERNEL = 5  # frames of a convolution
# Regularisation: a network that memorises the recordings has arbitrary alignments.
DROPOUT = 0.25
ENTRY_DROPOUT = 0.3  # share of frames with masked entries (of `split`, the semantic code) ...
FRAME_DROPOUT = 0.06  # ... and of those masked together with the next
NOISE = 0.1  # deviation of noise on levels, scaled to [-1, 1]
MAX_GRAD_NORM = 5.0


@dataclass(frozen=True)
class AlignConfig(Settings):
    """Settings of the alignment; all but the device determine the result."""

    phonemes: bool = False  # read texts as phonemes
    epochs: PositiveInt = 10
    lr: PositiveFloat = 2e-3  # peak of one cycle, of AdamW
    batch_frames: PositiveInt = 1500
    dim: PositiveInt = 192
    n_layers: PositiveInt = 4
    seed: int = 0
    device: str = "cpu"


class Recognizer(nn.Module):
    """Codes `[B, K, T]` -> log-probabilities `[B, T * STEPS_PER_FRAME, n_symbols]` of characters."""

    def __init__(
        self, codebook_sizes: Sequence[int], ordinal: Sequence[bool], n_symbols: int, dim: int, n_layers: int
    ) -> None:
        super().__init__()
        sizes, self.ordinal = torch.tensor(codebook_sizes), torch.tensor(ordinal)
        entries, self.steps = sizes[~self.ordinal], sizes[self.ordinal] - 1
        self.offsets = F.pad(entries.cumsum(0), (1, 0))[:-1]
        self.entries = nn.Embedding(int(entries.sum()), dim)
        nn.init.normal_(self.entries.weight, std=0.3)
        self.levels = nn.Linear(len(self.steps), dim) if len(self.steps) else None
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(n_layers))
        self.layers = nn.ModuleList(nn.Conv1d(dim, dim, KERNEL, padding=KERNEL // 2) for _ in range(n_layers))
        self.dropout = nn.Dropout(DROPOUT)
        self.out = nn.Linear(dim, STEPS_PER_FRAME * n_symbols)

    def forward(self, codes: Tensor) -> Tensor:
        codes = codes.transpose(1, 2)
        x = self.dropout(self.entries(codes[..., ~self.ordinal] + self.offsets.to(codes.device)).sum(2))
        if self.training:
            x = x * _keep_mask(x, ENTRY_DROPOUT)
        if self.levels is not None:
            values = codes[..., self.ordinal] * 2 / self.steps.to(codes.device) - 1
            x = x + self.levels(values + NOISE * torch.randn_like(values) if self.training else values)
        if self.training:
            kept = _keep_mask(x, FRAME_DROPOUT)
            x = x * kept * F.pad(kept[:, :-1], (0, 0, 1, 0), value=True)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + self.dropout(F.gelu(layer(norm(x).transpose(1, 2)))).transpose(1, 2)
        return self.out(x).unflatten(2, (STEPS_PER_FRAME, -1)).flatten(1, 2).log_softmax(2)


def _keep_mask(x: Tensor, share: float) -> Tensor:
    """Random mask `[B, T, 1]` bool for `[B, T, D]`: false in a share of the frames."""
    return torch.rand(*x.shape[:2], 1, device=x.device) >= share


@dataclass(frozen=True)
class Example:
    """An utterance to align."""

    index: int  # in the token set
    text: str  # as read
    symbols: Tensor  # [N] int64
    codes: Tensor  # [K, T] int64


@dataclass(frozen=True)
class AlignResult:
    """Result for a folder."""

    n_aligned: int  # utterances
    n_left_out: int  # without text, with too much text for the time, or with characters that the first folder lacks
    cer: float  # character error rate of the network without the text; nan if nothing was aligned


def align_tokens(folders: Sequence[str | Path], config: AlignConfig) -> list[AlignResult]:
    """Align all utterances of token folders by a network trained on the first, and write the alignments there.

    Raises:
        ValueError: an unusable folder, or nothing to align in the first.
        MissingDependencyError: the package for phonemes is not installed.
    """
    sets = [TokenSet(folder) for folder in folders]
    if len({tokens.info.fingerprint for tokens in sets}) > 1:
        raise ValueError(f"{', '.join(map(str, folders))}: made by different codecs; align one codec at a time")
    texts = [[text_as_read(line, config.phonemes) for line in tokens.lines] for tokens in sets]
    characters = ["", *sorted(set().union(*texts[0]))]  # by symbol
    alphabet = {c: symbol for symbol, c in enumerate(characters) if symbol != BLANK}
    examples = [list(_examples(*both, alphabet)) for both in zip(sets, texts, strict=True)]
    if not examples[0]:
        raise ValueError(f"{folders[0]}: no recording has a text that fits its duration")
    model = fit(examples[0], sets[0].info, len(characters), config)
    results = []
    for tokens, utterances in zip(sets, examples, strict=True):
        alignments: list[Alignment | None] = [None] * len(tokens)
        decoded = []
        for u in progress(utterances, desc=f"aligning {tokens.folder}"):
            log_probs = _log_probs(model, u)
            frames = [step // STEPS_PER_FRAME for step in character_starts(log_probs, u.symbols)]
            alignments[u.index] = Alignment(u.text, durations(frames, u.codes.shape[1]))
            decoded.append("".join(characters[symbol] for symbol in greedy_decode(log_probs)))
        (tokens.folder / INDEX).unlink(missing_ok=True)  # until all shards are written
        for number, (start, stop) in enumerate(pairwise(tokens.shard_edges)):
            write_alignments(tokens.folder, number, alignments[start:stop])
        write_index(tokens.folder, asdict(config) | {"n_shards": len(tokens.shard_edges) - 1}, INDEX)
        cer = float(jiwer.cer([u.text for u in utterances], decoded)) if utterances else math.nan
        results.append(AlignResult(len(utterances), len(tokens) - len(utterances), cer))
    return results


def fit(examples: Sequence[Example], info: TokenInfo, n_symbols: int, config: AlignConfig) -> Recognizer:
    """Train a recogniser of these utterances; reproducible by the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return _fit(examples, info, n_symbols, config)


def _fit(examples: Sequence[Example], info: TokenInfo, n_symbols: int, config: AlignConfig) -> Recognizer:
    rng = np.random.default_rng(config.seed)
    model = Recognizer(info.codebook_sizes, info.ordinal, n_symbols, config.dim, config.n_layers).to(config.device)
    batches = list(_batches(examples, config.batch_frames))
    optimizer = torch.optim.AdamW(model.parameters(), config.lr, weight_decay=0.01)
    n_steps = config.epochs * len(batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=n_steps)
    with progress(total=n_steps, desc="training") as bar:
        for _ in range(config.epochs):
            for i in rng.permutation(len(batches)):
                batch = batches[i]
                log_probs, n_out = _recognize(model, batch)
                symbols = torch.cat([u.symbols for u in batch])
                n_symbols_each = torch.tensor([len(u.symbols) for u in batch])
                loss = F.ctc_loss(log_probs.transpose(0, 1), symbols.to(config.device), n_out, n_symbols_each)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
                optimizer.step()
                schedule.step()
                bar.update()
                bar.set_postfix(loss=f"{loss.item():.3f}")
    return model.eval()


def character_starts(log_probs: Tensor, symbols: Tensor) -> list[int]:
    """Align symbols `[N]` to log-probabilities `[S, n_symbols]`; returns the first CTC step of each."""
    path, _ = torchaudio.functional.forced_align(log_probs[None], symbols[None].int(), blank=BLANK)
    before = F.pad(path[0, :-1], (1, 0), value=BLANK)
    return ((path[0] != BLANK) & (path[0] != before)).nonzero()[:, 0].tolist()


def greedy_decode(log_probs: Tensor) -> list[int]:
    """Decode log-probabilities `[S, n_symbols]` greedily to symbols."""
    return [symbol for symbol in log_probs.argmax(1).unique_consecutive().tolist() if symbol != BLANK]


@torch.inference_mode()
def _log_probs(model: Recognizer, utterance: Example) -> Tensor:
    """`[S, n_symbols]` on the CPU."""
    return _recognize(model, [utterance])[0][0].cpu()


def _recognize(model: Recognizer, batch: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Log-probabilities `[B, S, n_symbols]` of a batch, and the number of steps of each utterance."""
    codes = pad_sequence([u.codes.T for u in batch], batch_first=True).transpose(1, 2)  # [B, K, T]
    return model(codes.to(model.out.weight.device)), torch.tensor([_n_frames(u) for u in batch]) * STEPS_PER_FRAME


def _batches(examples: Sequence[Example], n_frames: int) -> Iterator[list[Example]]:
    """Batch utterances of similar length, with at most `n_frames` in all, or a single one."""
    return split_by_size(sorted(examples, key=_n_frames), _n_frames, n_frames)


def _n_frames(utterance: Example) -> int:
    return utterance.codes.shape[1]


def _examples(tokens: TokenSet, texts: Sequence[str], alphabet: dict[str, int]) -> Iterator[Example]:
    """The utterances to align."""
    for index, text in enumerate(texts):
        if text and set(text) <= alphabet.keys():
            symbols = torch.tensor([alphabet[c] for c in text])
            if steps_needed(symbols) <= tokens.lines[index].n_frames * STEPS_PER_FRAME:
                yield Example(index, text, symbols, tokens[index].codes.long())


@reports_errors
def main() -> int:
    d = AlignConfig()
    parser = command("train.data.tokens.align", __doc__, device="device of the network", seed="random seed")
    parser.add_argument("tokens", nargs="+", help="folders of train.data.tokens.tokenize; trains on the first")
    parser.add_argument("--phonemes", action="store_true", help="align phonemes, for a model that reads them")
    parser.add_argument("--epochs", type=int, default=d.epochs, help="passes over the recordings")
    args = vars(parser.parse_args())
    tokens = args.pop("tokens")
    results = align_tokens(tokens, AlignConfig(**args))
    for folder, result in zip(tokens, results, strict=True):
        counts = f"{result.n_aligned} utterances aligned, {result.n_left_out} left out"
        print(f"{folder}: {counts}; character error rate of the network {result.cer:.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
