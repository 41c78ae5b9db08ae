"""Concealment of lost frames: their codes are predicted, and what they decode to fades away in longer losses."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from codec.bitstream.networks import UNITS
from codec.bitstream.token_model import TokenModel

HOLD_S = 0.12  # of a loss until it fades
FADE_S = 0.12  # until it is silent
RETURN_S = 0.01  # until it is as loud as before
MAX_PREDICTED = 16  # lost frames in a row; after them the last one repeats, as it has faded


@torch.no_grad()
def conceal(codes: Tensor, received: Tensor, model: TokenModel | None = None, look_ahead: bool = False) -> Tensor:
    """Fill in codes that have not arrived.

    Args:
        codes: `[K, T]`; those that have not arrived are not read.
        received: number of codebooks that have arrived of each frame, `[T]`; 0 is a lost frame.
        model: predicts them from previous frames and from the frame's own first codebooks; None repeats those of the
            frame before.
        look_ahead: of several predictions, take the one that suits the frame after the loss; costs one frame of delay.

    Returns:
        Codes `[K, T]`; before the first frame that has arrived they mean nothing.
    """
    gaps = (received < len(codes)).nonzero().flatten().tolist()
    if model is None:
        codes = codes.clone()
        for t in gaps:
            codes[int(received[t]) :, t] = codes[int(received[t]) :, t - 1] if t else 0
        return codes
    frames = F.pad(codes, (0, 0, 0, len(model.codebook_sizes) - len(codes)))
    frames = torch.cat([model.padding(), frames], dim=1)
    n_lost = 0  # in a row
    for t in gaps:
        n_known, now = int(received[t]), t + model.past
        n_lost = n_lost + 1 if n_known == 0 and t and received[t - 1] == 0 else 1
        if n_lost > MAX_PREDICTED:
            frames[:, now] = frames[:, now - 1]
            continue
        predicted = _predict(frames[:, t : now + 1], n_known, len(codes), model)
        if look_ahead and 0 < t < codes.shape[1] - 1 and received[t + 1] == len(codes) == len(frames):
            predicted = _likeliest(predicted, frames[:, t : now + 2], n_known, model)
        frames[:, now] = predicted
    return frames[: len(codes), model.past :]


def fade(waveform: Tensor, received: Tensor, hop_length: int, sample_rate: int) -> Tensor:
    """Fade lost frames of a decoded waveform `[L]` after `HOLD_S`; those before the first frame are silent.

    Args:
        waveform: of all frames, or cut within the last one.
        received: as in `conceal`, `[T]`.
        hop_length: samples per frame.
        sample_rate: Hz.
    """
    lost = received == 0
    gain = torch.ones(len(lost) * hop_length)
    edges = torch.diff(lost.int(), prepend=torch.zeros(1), append=torch.zeros(1)).nonzero().flatten().tolist()
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        seconds = torch.arange((end - start) * hop_length) / sample_rate
        falling = ((HOLD_S - seconds) / FADE_S + 1).clamp(0, 1) if start else torch.zeros(len(seconds))
        gain[start * hop_length : end * hop_length] = falling
        rising = gain[end * hop_length :][: round(RETURN_S * sample_rate)]
        rising[:] = torch.linspace(float(falling[-1]), 1, len(rising))
    return waveform * gain[: len(waveform)].to(waveform.device)


def _predict(frames: Tensor, n_known: int, n_wanted: int, model: TokenModel) -> Tensor:
    """Codes `[K]` of the last of `frames`, of which the first `n_known` are known and `n_wanted` are wanted."""
    frames = frames.clone()
    for layer, (start, end) in enumerate(pairwise((0, *model.layer_ends))):
        if start < n_wanted and n_known < end:
            probabilities = (model(frames, layer)[0] / UNITS).softmax(-1)  # [codebooks, size]
            levels = torch.arange(probabilities.shape[1], dtype=probabilities.dtype)
            likely = (probabilities @ levels).round().long() if model.ordinal[start] else probabilities.argmax(-1)
            first = max(start, n_known)
            frames[first:end, -1] = likely[first - start :]
    return frames[:, -1]


def _likeliest(predicted: Tensor, frames: Tensor, n_known: int, model: TokenModel) -> Tensor:
    """Codes `[K]` of the last but one of `frames`, the last being known: predicted, or nearer to a neighbour."""
    before, after = frames[:, -3], frames[:, -1]
    ordinal = torch.tensor(model.ordinal)
    candidates = [predicted, before, after]
    candidates += [torch.where(ordinal, (x + after + 1) // 2, y) for x in (predicted, before) for y in (x, after)]
    candidates, bits = [torch.cat([predicted[:n_known], candidate[n_known:]]) for candidate in candidates], []
    for candidate in candidates:
        trial = torch.cat([frames[:, :-2], candidate[:, None], after[:, None]], dim=1)
        bits.append(sum(float(model.bits(trial, layer).sum()) for layer in range(len(model.layers))))
    return candidates[bits.index(min(bits))]
