"""The first weights of a token model, by least squares; gradient descent then has to learn only what is not linear."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from codec.bitstream.networks import ENTRY_SCALE, LIMIT, ONE, SHARPNESS, UNITS, EntryModel, LevelModel
from codec.bitstream.token_model import TokenModel

MAX_FRAMES = 100_000  # to solve equations of
PRIOR = 10.0  # frames with mean levels that are added to those of each code
RIDGE = 100.0  # frames of unit variance without meaning
CAUTION = 0.1  # share of the certainty about entries that normal distributions would give
STEP = ENTRY_SCALE**0.5 * UNITS**0.5  # integer for a standard deviation in the comparison of entries


@torch.no_grad()
def start(model: TokenModel, frames: Tensor) -> None:
    """Make a fresh model predict codes `[K, past + T]` linearly, in the mean and with the same certainty everywhere."""
    frames = frames[:, : MAX_FRAMES + model.past]
    real = frames[0, model.past :] < model.codebook_sizes[0]
    now = frames[:, model.past :][:, real]  # [K, N]
    _set_entries(model, now)
    for index, (first, last) in enumerate(pairwise((0, *model.layer_ends))):
        layer, x = model.layers[index], model.inputs(frames, index)[real]
        targets = [model.embeddings[k][now[k]] for k in range(first, last)]
        counts = torch.stack([now[k].bincount(minlength=model.codebook_sizes[k]) for k in range(first, last)])
        frequencies = ((counts + 0.5) / (counts + 0.5).sum(1, keepdim=True)).log() * UNITS
        weights, bias, errors = _regression(x, torch.cat(targets, dim=1))
        if isinstance(layer, LevelModel):
            n_hidden = len(layer.second)
            deviations = errors.square().mean(0).sqrt()
            sharpness = 2 * UNITS * SHARPNESS * math.pi / math.sqrt(3) / 2 / deviations
            layer.out[::2, n_hidden:], layer.out_bias[::2] = weights.T * ONE, bias
            layer.out_bias[1::2] = sharpness
            spread = torch.stack([torch.zeros(len(sharpness)), sharpness], dim=1)
            layer.bias.copy_(0.2 * (frequencies - layer.scores(spread[None])[0]))
        elif isinstance(layer, EntryModel):
            _compare(layer, model, (first, last), weights, bias, errors, frequencies)


def _set_entries(model: TokenModel, now: Tensor) -> None:
    """Let the network read of an entry what levels it goes with: the principal components of their means."""
    levels = [k for k, ordinal in enumerate(model.ordinal) if ordinal]
    if not levels:
        return
    values = torch.stack([model.embeddings[k][now[k], 0] for k in levels], dim=1)  # [N, levels]
    values -= values.mean(0)
    for k in (k for k, ordinal in enumerate(model.ordinal) if not ordinal):
        size, width = model.codebook_sizes[k], model.embeddings[k].shape[1]
        sums = torch.zeros(size, len(levels)).index_add_(0, now[k], values)
        means = sums / (now[k].bincount(minlength=size)[:, None] + PRIOR)
        components = torch.pca_lowrank(means[now[k]], min(width, len(levels)), center=False)[2]
        found = F.pad(means @ components, (0, width - components.shape[1], 0, 1))
        model.embeddings[k].copy_((found * (ONE / 3) / means[now[k]].std()).clamp(-LIMIT, LIMIT))


def _regression(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights `[inputs, outputs]`, bias `[outputs]` and errors `[N, outputs]` of the best linear prediction of y."""
    x_mean, y_mean = x.mean(0), y.mean(0)
    centred = (x - x_mean).double()
    ridge = RIDGE * ONE**2 / 9 * torch.eye(x.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ (y - y_mean).double()).float()
    bias = y_mean - x_mean @ weights
    return weights, bias, y - x @ weights - bias


def _compare(
    layer: EntryModel,
    model: TokenModel,
    books: tuple[int, int],
    weights: Tensor,
    bias: Tensor,
    errors: Tensor,
    frequencies: Tensor,
) -> None:
    """Score entries by how near what they stand for is to its prediction, in units of the prediction's errors."""
    n_hidden, width = layer.second.shape[0], weights.shape[1] // (books[1] - books[0])
    for i, k in enumerate(range(*books)):
        part = slice(i * width, (i + 1) * width)
        covariance = errors[:, part].T @ errors[:, part] / len(errors) + torch.eye(width)
        whiten = torch.linalg.cholesky(torch.linalg.inv(covariance))
        entries = model.embeddings[k][:-1] @ whiten
        layer.entries[i] = entries * STEP
        layer.out[part, n_hidden:] = (weights[:, part] @ whiten).T * CAUTION * STEP * ONE
        layer.out_bias[part] = bias[part] @ whiten * CAUTION * STEP
        layer.bias[i] = frequencies[i] - CAUTION * UNITS / 2 * entries.square().sum(1)
