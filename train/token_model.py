"""`python -m train.token_model TOKENS ... --valid TOKENS --out FILE`: train the entropy model of streams.

TOKENS are folders of `python -m train.data.tokens.tokenize`. FILE should be `token_model.safetensors` in the codec's
checkpoint folder, where encoder and decoder look for it. It is written whenever validation improves.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset

from codec.bitstream.header import default_layer_ends
from codec.bitstream.networks import ONE, EntryModel
from codec.bitstream.token_model import TokenModel
from eval.command import command, reports_errors
from eval.probes.codes import entropy
from eval.progress import progress
from eval.tables import table
from train.data.tokens.shards import TokenSet, TokenUtterance
from train.optim import learning_rate
from train.settings.config import OptimConfig
from train.token_start import start

N_FRAMES = 512  # per step
VALIDATE_EVERY = 250  # steps
WARMUP_STEPS = 50


@dataclass(frozen=True)
class TokenModelConfig:
    """Settings of the training of a token model."""

    steps: int = 2000
    lr: float = 2e-3  # peak, relative to ONE; falls to 0 along a half cosine
    width: int = 192  # of the hidden layers
    past: int = 2  # input frames
    embedding: int = 32  # width of the embedding of a code that is no level
    seed: int = 0


def fit(train: Sequence[TokenSet], valid: TokenSet, out: Path, config: TokenModelConfig) -> Tensor:
    """Train a model and write the best one; returns its bits of each codebook on `valid`, `[K]`.

    Raises:
        ValueError: tokens of different codecs.
    """
    info = valid.info
    for tokens in train:
        if tokens.info.fingerprint != info.fingerprint:
            raise ValueError(f"{valid.folder}: codec {info.fingerprint}; {tokens.folder}: {tokens.info.fingerprint}")
    torch.manual_seed(config.seed)
    ends = default_layer_ends(len(info.codebook_sizes))
    model = TokenModel(info.codebook_sizes, info.ordinal, ends, config.width, config.past, config.embedding)
    utterances: ConcatDataset[TokenUtterance] = ConcatDataset(train)  # type: ignore[arg-type]
    order = torch.randperm(len(utterances)).tolist()  # neighbours are of one speaker
    train_frames, valid_frames = joined((utterances[i] for i in order), model), joined(valid, model)
    start(model, train_frames)
    schedule = OptimConfig(lr=config.lr * ONE, warmup_steps=WARMUP_STEPS)
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), betas=(0.9, 0.99))
    best = _keep_better(model, valid_frames, torch.full((len(info.codebook_sizes),), math.inf), out)
    with progress(total=config.steps, desc="token model", unit="step") as bar:
        for step in range(config.steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, step / config.steps, schedule)
            first = int(torch.randint(max(1, train_frames.shape[1] - N_FRAMES), ()))
            optimizer.zero_grad()
            _loss(model, train_frames[:, first : first + N_FRAMES + config.past]).backward()
            optimizer.step()
            if step % VALIDATE_EVERY == VALIDATE_EVERY - 1:
                best = _keep_better(model, valid_frames, best, out)
                bar.set_postfix(bits=f"{best.sum():.2f}")
            bar.update()
    return _keep_better(model, valid_frames, best, out)


def bits(model: TokenModel, frames: Tensor, layer: int) -> Tensor:
    """Mean bits of each codebook of a layer, in frames `[K, past + T]`; those of `padding` are only context."""
    real = frames[0, model.past :] < model.codebook_sizes[0]
    return model.bits(frames, layer)[:, real].mean(dim=1)


def entropies(frames: Tensor, model: TokenModel) -> Tensor:
    """Entropy of each codebook in bits, `[K]`."""
    return torch.tensor([entropy(row) for row in frames[:, frames[0] < model.codebook_sizes[0]]])


def joined(tokens: Iterable[TokenUtterance], model: TokenModel) -> Tensor:
    """Concatenate all utterances, each after `padding`: `[K, T]` int64."""
    parts = [part for utterance in tokens for part in (model.padding(), utterance.codes.long())]
    return torch.cat(parts, dim=1)


def _loss(model: TokenModel, frames: Tensor) -> Tensor:
    """Bits per frame; of entries, which cost most time, on half of the frames."""
    total = frames.new_zeros((), dtype=torch.float32)
    for i, layer in enumerate(model.layers):
        total += bits(model, frames[:, : len(frames[0]) // 2] if isinstance(layer, EntryModel) else frames, i).sum()
    return total


@torch.no_grad()
def _keep_better(model: TokenModel, frames: Tensor, best: Tensor, out: Path) -> Tensor:
    found = torch.cat([bits(model, frames, layer) for layer in range(len(model.layers))])
    if found.sum() < best.sum():
        model.save(out)
        return found
    return best


@reports_errors
def main() -> int:
    d = TokenModelConfig()
    parser = command("train.token_model", __doc__, out="file to write", seed="seed of weights and order")
    parser.add_argument("tokens", type=Path, nargs="+", help="folders of train.data.tokens.tokenize to train on")
    parser.add_argument("--valid", type=Path, required=True, help="another one to validate on")
    parser.add_argument("--steps", type=int, default=d.steps, help="training steps")
    parser.add_argument("--width", type=int, default=d.width, help="width of the hidden layers")
    args = parser.parse_args()
    config = TokenModelConfig(steps=args.steps, width=args.width, seed=args.seed)
    valid = TokenSet(args.valid)
    found = fit([TokenSet(folder) for folder in args.tokens], valid, args.out, config)
    model = TokenModel.load(args.out)
    print(summary(model, entropies(joined(valid, model), model), found))
    return 0


def summary(model: TokenModel, by_frequency: Tensor, found: Tensor) -> str:
    """Table of bits per frame by layer: at the fixed rate, by frequency, and by the model."""
    columns = [torch.tensor(model.codebook_sizes).log2(), by_frequency, found]
    rows = [
        [f"{start} to {end - 1}", *(f"{column[start:end].sum():.2f}" for column in columns)]
        for start, end in pairwise((0, *model.layer_ends))
    ]
    rows.append(["all", *(f"{column.sum():.2f}" for column in columns)])
    rows.append(["saved", *(f"{1 - column.sum() / columns[0].sum():.1%}" for column in columns)])
    return table(["codebooks", "fixed rate", "by frequency", "token model"], rows)


if __name__ == "__main__":
    sys.exit(main())
