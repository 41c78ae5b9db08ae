"""`python -m train.data.tokens.align TOKENS ...`: how long each character of a text lasts in the recording of it.

A small network learns to spell the recordings from their codes by CTC, and the likeliest path through its outputs that
spells the text says where each character begins. It knows nothing but these recordings and is forgotten afterwards.
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

from codec.tts.text.phonemes import as_read
from eval.command import command, tells_mistakes
from eval.progress import progress
from train.data.tokens.alignment import INDEX, Alignment, durations, write_alignments
from train.data.tokens.shards import TokenInfo, TokenLine, TokenSet, write_index
from train.data.tokens.tokenize import cut

BLANK = 0  # among the symbols; characters follow
STEPS_PER_FRAME = 4  # of CTC: 50 Hz at 12.5 frames per second, above the rate of characters
KERNEL = 5  # frames that a layer sees
# What keeps a network from knowing the recordings by heart: it would spell them wherever it liked.
DROPOUT = 0.25
ENTRY_DROPOUT = 0.3  # share of frames whose entries (of `split`, the semantic code) it does not see ...
FRAME_DROPOUT = 0.06  # ... and of those that it sees nothing of, nor of the next
NOISE = 0.1  # deviation of what is added to levels, as values in [-1, 1]
MAX_GRAD_NORM = 5.0


@dataclass(frozen=True)
class AlignConfig:
    """How recordings are aligned; all of it but the device decides about the result."""

    phonemes: bool = False  # read texts as phonemes
    epochs: int = 10
    lr: float = 2e-3  # highest, of AdamW; one cycle
    batch_frames: int = 1500
    dim: int = 192
    n_layers: int = 4
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("epochs", "lr", "batch_frames", "dim", "n_layers"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} = {getattr(self, name)}: expected a positive number")


class Speller(nn.Module):
    """Codes `[B, K, T]` -> log-probabilities `[B, T * STEPS_PER_FRAME, n_symbols]` of what is said, by convolutions."""

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
            x = x * _kept(x, ENTRY_DROPOUT)
        if self.levels is not None:
            values = codes[..., self.ordinal] * 2 / self.steps.to(codes.device) - 1
            x = x + self.levels(values + NOISE * torch.randn_like(values) if self.training else values)
        if self.training:
            kept = _kept(x, FRAME_DROPOUT)
            x = x * kept * F.pad(kept[:, :-1], (0, 0, 1, 0), value=True)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + self.dropout(F.gelu(layer(norm(x).transpose(1, 2)))).transpose(1, 2)
        return self.out(x).unflatten(2, (STEPS_PER_FRAME, -1)).flatten(1, 2).log_softmax(2)


def _kept(x: Tensor, share: float) -> Tensor:
    """`[B, T, 1]` bool for `[B, T, D]`: false at a random share of frames."""
    return torch.rand(*x.shape[:2], 1, device=x.device) >= share


@dataclass(frozen=True)
class Spelled:
    """An utterance to align."""

    index: int  # in the token set
    text: str  # as read
    symbols: Tensor  # [N] int64
    codes: Tensor  # [K, T] int64


@dataclass(frozen=True)
class Aligned:
    """What became of a folder."""

    n_aligned: int  # utterances
    n_left_out: int  # without text, with more of it than the time holds, or with characters that the first folder lacks
    cer: float  # errors of the network per character where it is not told the text; nan if nothing was aligned


def align_tokens(folders: Sequence[str | Path], config: AlignConfig) -> list[Aligned]:
    """Align all utterances of token folders, with a network that learns from the first, and write that beside them.

    Raises:
        ValueError: a folder cannot be used, or the first has nothing to align.
        MissingDependencyError: phonemes are asked for and what makes them is missing.
    """
    sets = [TokenSet(folder) for folder in folders]
    if len({tokens.info.fingerprint for tokens in sets}) > 1:
        raise ValueError(f"{', '.join(map(str, folders))}: made by several codecs; align those of one together")
    texts = [[_text(line, config.phonemes) for line in tokens.lines] for tokens in sets]
    characters = ["", *sorted(set().union(*texts[0]))]  # by symbol
    alphabet = {c: symbol for symbol, c in enumerate(characters) if symbol != BLANK}
    spelled = [list(_spelled(*both, alphabet)) for both in zip(sets, texts, strict=True)]
    if not spelled[0]:
        raise ValueError(f"{folders[0]}: no recording with a text that fits into its time")
    model = fit(spelled[0], sets[0].info, len(characters), config)
    results = []
    for tokens, utterances in zip(sets, spelled, strict=True):
        alignments: list[Alignment | None] = [None] * len(tokens)
        heard = []
        for u in progress(utterances, desc=f"aligning {tokens.folder}"):
            log_probs = _log_probs(model, u)
            frames = [step // STEPS_PER_FRAME for step in starts(log_probs, u.symbols)]
            alignments[u.index] = Alignment(u.text, durations(frames, u.codes.shape[1]))
            heard.append("".join(characters[symbol] for symbol in likeliest(log_probs)))
        (tokens.folder / INDEX).unlink(missing_ok=True)  # until all are of one kind again
        for number, (start, stop) in enumerate(pairwise(tokens.shard_edges)):
            write_alignments(tokens.folder, number, alignments[start:stop])
        write_index(tokens.folder, asdict(config) | {"n_shards": len(tokens.shard_edges) - 1}, INDEX)
        cer = float(jiwer.cer([u.text for u in utterances], heard)) if utterances else math.nan
        results.append(Aligned(len(utterances), len(tokens) - len(utterances), cer))
    return results


def fit(spelled: Sequence[Spelled], info: TokenInfo, n_symbols: int, config: AlignConfig) -> Speller:
    """A network that spells these utterances; the same seed gives the same one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return _fit(spelled, info, n_symbols, config)


def _fit(spelled: Sequence[Spelled], info: TokenInfo, n_symbols: int, config: AlignConfig) -> Speller:
    rng = np.random.default_rng(config.seed)
    model = Speller(info.codebook_sizes, info.ordinal, n_symbols, config.dim, config.n_layers).to(config.device)
    batches = list(_batches(spelled, config.batch_frames))
    optimizer = torch.optim.AdamW(model.parameters(), config.lr, weight_decay=0.01)
    n_steps = config.epochs * len(batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=n_steps)
    with progress(total=n_steps, desc="learning to spell") as bar:
        for _ in range(config.epochs):
            for i in rng.permutation(len(batches)):
                batch = batches[i]
                log_probs, n_out = _spell(model, batch)
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


def starts(log_probs: Tensor, symbols: Tensor) -> list[int]:
    """The CTC step in which each of the symbols `[N]` begins, by log-probabilities `[S, n_symbols]`."""
    path, _ = torchaudio.functional.forced_align(log_probs[None], symbols[None].int(), blank=BLANK)
    before = F.pad(path[0, :-1], (1, 0), value=BLANK)
    return ((path[0] != BLANK) & (path[0] != before)).nonzero()[:, 0].tolist()


def likeliest(log_probs: Tensor) -> list[int]:
    """Symbols by log-probabilities `[S, n_symbols]`, step by step."""
    return [symbol for symbol in log_probs.argmax(1).unique_consecutive().tolist() if symbol != BLANK]


@torch.inference_mode()
def _log_probs(model: Speller, utterance: Spelled) -> Tensor:
    """`[S, n_symbols]` on the CPU."""
    return _spell(model, [utterance])[0][0].cpu()


def _spell(model: Speller, batch: Sequence[Spelled]) -> tuple[Tensor, Tensor]:
    """Log-probabilities `[B, S, n_symbols]` of a batch, and how many of the S steps are each utterance's."""
    codes = pad_sequence([u.codes.T for u in batch], batch_first=True).transpose(1, 2)  # [B, K, T]
    return model(codes.to(model.out.weight.device)), torch.tensor([_n_frames(u) for u in batch]) * STEPS_PER_FRAME


def _batches(spelled: Sequence[Spelled], n_frames: int) -> Iterator[list[Spelled]]:
    """Utterances of similar length, at most `n_frames` together, or one."""
    return cut(sorted(spelled, key=_n_frames), _n_frames, n_frames)


def _n_frames(utterance: Spelled) -> int:
    return utterance.codes.shape[1]


def _text(line: TokenLine, phonemes: bool) -> str:
    return as_read(line.text, line.language or "en", phonemes) if line.text else ""


def _spelled(tokens: TokenSet, texts: Sequence[str], alphabet: dict[str, int]) -> Iterator[Spelled]:
    """The utterances that can be aligned."""
    for index, text in enumerate(texts):
        if text and _fits(text, tokens.lines[index].n_frames) and set(text) <= alphabet.keys():
            yield Spelled(index, text, torch.tensor([alphabet[c] for c in text]), tokens[index].codes.long())


def _fits(text: str, n_frames: int) -> bool:
    """Whether CTC has steps enough: one for each character and one between two that are alike."""
    return len(text) + sum(a == b for a, b in pairwise(text)) <= n_frames * STEPS_PER_FRAME


@tells_mistakes
def main() -> int:
    d = AlignConfig()
    parser = command("train.data.tokens.align", __doc__, device="where the network runs", seed="of weights and order")
    parser.add_argument("tokens", nargs="+", help="folders of train.data.tokens.tokenize; the first is learned from")
    parser.add_argument("--phonemes", action="store_true", help="read texts as phonemes, for a model that does so")
    parser.add_argument("--epochs", type=int, default=d.epochs, help="passes over the recordings")
    args = vars(parser.parse_args())
    tokens = args.pop("tokens")
    results = align_tokens(tokens, AlignConfig(**args))
    for folder, result in zip(tokens, results, strict=True):
        told = f"{result.n_aligned} utterances aligned, {result.n_left_out} left out"
        print(f"{folder}: {told}; untold, {result.cer:.0%} of characters are spelled wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
