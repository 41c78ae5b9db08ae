"""`python -m train.token_model TOKENS --valid TOKENS --out FILE`: train the entropy model of streams.

TOKENS are folders of `python -m train.data.tokens.tokenize`. FILE should be `token_model.safetensors` in the codec's
checkpoint folder, where encoder and decoder look for it. It is written whenever validation improves.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from codec.bitstream.header import default_layer_ends
from codec.bitstream.token_model import ONE, UNITS, LayerModel, TokenModel
from eval.command import command, reports_errors
from eval.progress import progress
from eval.tables import table
from train.data.tokens.shards import TokenSet

N_FRAMES = 512  # per step
VALIDATE_EVERY = 250  # steps
WARMUP_STEPS = 50


@dataclass(frozen=True)
class TokenModelConfig:
    """Settings of the training of a token model."""

    steps: int = 4000
    lr: float = 2e-3  # peak, relative to ONE; falls to 0 along a half cosine
    width: int = 256  # of the hidden layers
    past: int = 3  # input frames
    embedding: int = 16  # width of the embedding of a code
    seed: int = 0


def fit(train: TokenSet, valid: TokenSet, out: Path, config: TokenModelConfig) -> list[float]:
    """Train a model and write the best one; returns its bits per frame for each layer, on `valid`.

    Raises:
        ValueError: tokens of different codecs.
    """
    if train.info.fingerprint != valid.info.fingerprint:
        raise ValueError(f"{valid.folder}: codec {valid.info.fingerprint}; {train.folder}: {train.info.fingerprint}")
    torch.manual_seed(config.seed)
    sizes = train.info.codebook_sizes
    model = TokenModel(sizes, default_layer_ends(len(sizes)), config.width, config.past, config.embedding)
    train_frames, valid_frames = (_frames(tokens, model) for tokens in (train, valid))
    _start(model, train_frames)
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    best = [math.inf]
    with progress(total=config.steps, desc="token model", unit="step") as bar:
        for step in range(config.steps):
            rise, fall = min(1.0, step / WARMUP_STEPS), (1 + math.cos(math.pi * step / config.steps)) / 2
            for group in optimizer.param_groups:
                group["lr"] = config.lr * ONE * rise * fall
            first = int(torch.randint(max(1, train_frames.shape[1] - N_FRAMES), ()))
            optimizer.zero_grad()
            torch.stack(bits(model, train_frames[:, first : first + N_FRAMES + config.past])).sum().backward()
            optimizer.step()
            if step % VALIDATE_EVERY == VALIDATE_EVERY - 1:
                best = _keep_better(model, valid_frames, best, out)
                bar.set_postfix(bits=f"{sum(best):.2f}")
            bar.update()
    return _keep_better(model, valid_frames, best, out)


def bits(model: TokenModel, frames: Tensor) -> list[Tensor]:
    """Mean bits per frame of `[K, past + T]` by layer; frames of `padding` are only context."""
    real = frames[0, model.past :] < model.codebook_sizes[0]
    found = []
    for layer, end in enumerate(model.layer_ends):
        log_likelihoods = model(frames, layer)[real] / UNITS  # [T, codebooks, size]
        codes = frames[end - log_likelihoods.shape[1] : end, model.past :].T[real]
        loss = F.cross_entropy(log_likelihoods.flatten(0, 1), codes.flatten())
        found.append(loss * codes.shape[1] / math.log(2))
    return found


def entropies(frames: Tensor, model: TokenModel) -> list[float]:
    """Bits per frame of each layer by the entropies of its codebooks."""
    real = frames[:, frames[0] < model.codebook_sizes[0]]
    each = [-(p := row.bincount().float() / len(row))[p > 0].log2().mul(p[p > 0]).sum().item() for row in real]
    starts = (0, *model.layer_ends)
    return [sum(each[start:end]) for start, end in zip(starts, model.layer_ends, strict=False)]


@torch.no_grad()
def _start(model: TokenModel, frames: Tensor) -> None:
    """Make a fresh model predict every code by how frequent it is, whatever comes before."""
    counts = [row[row < size].bincount(minlength=size) for row, size in zip(frames, model.codebook_sizes, strict=True)]
    for layer, start, end in zip(model.layers, (0, *model.layer_ends), model.layer_ends, strict=False):
        assert isinstance(layer, LayerModel)
        layer.out.zero_()
        layer.bias.copy_(torch.cat([UNITS * ((n + 1) / (n + 1).sum()).log() for n in counts[start:end]]))


@torch.no_grad()
def _keep_better(model: TokenModel, frames: Tensor, best: list[float], out: Path) -> list[float]:
    found = [float(layer) for layer in bits(model, frames)]
    if sum(found) < sum(best):
        model.save(out)
        return found
    return best


def _frames(tokens: TokenSet, model: TokenModel) -> Tensor:
    """Concatenate all utterances, each after `padding`: `[K, T]` int64."""
    parts = [part for utterance in tokens for part in (model.padding(), utterance.codes.long())]
    return torch.cat(parts, dim=1)


@reports_errors
def main() -> int:
    d = TokenModelConfig()
    parser = command("train.token_model", __doc__, out="file to write", seed="seed of weights and order")
    parser.add_argument("tokens", type=Path, help="folder of train.data.tokens.tokenize to train on")
    parser.add_argument("--valid", type=Path, required=True, help="another one to validate on")
    parser.add_argument("--steps", type=int, default=d.steps, help="training steps")
    parser.add_argument("--width", type=int, default=d.width, help="width of the hidden layers")
    args = parser.parse_args()
    config = TokenModelConfig(steps=args.steps, width=args.width, seed=args.seed)
    train, valid = TokenSet(args.tokens), TokenSet(args.valid)
    found = fit(train, valid, args.out, config)
    print(summary(TokenModel.load(args.out), _frames(valid, TokenModel.load(args.out)), found))
    return 0


def summary(model: TokenModel, frames: Tensor, found: Sequence[float]) -> str:
    """Table of bits per frame by layer: at the fixed rate, by frequency, and by the model."""
    starts = (0, *model.layer_ends)
    fixed = [sum(map(math.log2, model.codebook_sizes[a:b])) for a, b in zip(starts, model.layer_ends, strict=False)]
    rows = [
        [f"{start} to {end - 1}", *(f"{value:.2f}" for value in values)]
        for start, end, *values in zip(starts, model.layer_ends, fixed, entropies(frames, model), found, strict=False)
    ]
    totals = [sum(fixed), sum(entropies(frames, model)), sum(found)]
    rows.append(["all", *(f"{total:.2f}" for total in totals)])
    rows.append(["saved", *(f"{1 - total / totals[0]:.1%}" for total in totals)])
    return table(["codebooks", "fixed rate", "by frequency", "token model"], rows)


if __name__ == "__main__":
    sys.exit(main())
