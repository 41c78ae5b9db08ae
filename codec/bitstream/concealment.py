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
AFTER = 1 / 3  # weight of the frame after a loss, beside the prediction


@torch.no_grad()
def conceal(codes: Tensor, received: Tensor, model: TokenModel | None = None, look_ahead: bool = False) -> Tensor:
    """Fill in codes that have not arrived.

    Entries, such as semantic codes, are those of the frame before, as guesses are nearly always wrong. Levels are what
    the model expects.

    Args:
        codes: `[K, T]`; those that have not arrived are not read.
        received: number of codebooks that have arrived of each frame, `[T]`; 0 is a lost frame.
        model: predicts levels from previous frames and from the frame's own first codebooks; None repeats all codes.
        look_ahead: move levels of lost frames towards the frame after, if it is whole; costs one frame of delay.

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
    ordinal = torch.tensor(model.ordinal)
    n_lost = 0  # in a row
    for t in gaps:
        n_known, now = int(received[t]), t + model.past
        n_lost = n_lost + 1 if n_known == 0 and t and received[t - 1] == 0 else 1
        if n_lost > MAX_PREDICTED:
            frames[:, now] = frames[:, now - 1]
            continue
        _predict(frames[:, t : now + 1], n_known, len(codes), model)
        if look_ahead and n_known == 0 and t + 1 < codes.shape[1] and received[t + 1] == len(codes):
            between = torch.lerp(frames[:, now].float(), frames[:, now + 1].float(), AFTER).round().long()
            frames[:, now] = torch.where(ordinal, between, frames[:, now])
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


def _predict(frames: Tensor, n_known: int, n_wanted: int, model: TokenModel) -> None:
    """Fill in the last of `frames`, of which the first `n_known` codes are known and `n_wanted` are wanted."""
    before, now = frames[:, -2], frames[:, -1]
    for layer, (start, end) in enumerate(pairwise((0, *model.layer_ends))):
        if start >= n_wanted or end <= n_known:
            continue
        first = max(start, n_known)
        if model.ordinal[start]:
            probabilities = (model(frames, layer)[0] / UNITS).softmax(-1)  # [codebooks, size]
            levels = torch.arange(probabilities.shape[1], dtype=probabilities.dtype)
            now[first:end] = (probabilities @ levels).round().long()[first - start :]
        else:
            now[first:end] = before[first:end].clamp(max=model.codebook_sizes[start] - 1)  # padding before the first
