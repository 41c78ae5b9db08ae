"""Lost packets: their patterns, and receivers that cope with them.

Packets are lost each by itself, or in bursts as Gilbert (1960) and Elliott (1963) modelled them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.bitstream import conceal, fade
from codec.settings import require
from codec.tokenizer import Tokenizer
from codec.tokens.tokens import Tokens

BURST = 3.0  # mean length of the bad state in packets
LOSS_IN_BURST = 0.75  # share of the packets lost in it; in the good state none are


def independent(rate: float, n_packets: int, seed: int = 0) -> NDArray[np.bool_]:
    """Whether each packet is lost, `[n_packets]`, with probability `rate`."""
    return np.random.default_rng(seed).random(n_packets) < rate


def bursts(rate: float, n_packets: int, seed: int = 0) -> NDArray[np.bool_]:
    """Whether each packet is lost, `[n_packets]`, by a chain of a good and a bad state, `rate` of them in the mean.

    Raises:
        ValueError: `rate` is not below `LOSS_IN_BURST`.
    """
    require(0 <= rate < LOSS_IN_BURST, "rate", rate, f"0 to {LOSS_IN_BURST}, the share lost in a burst")
    share = rate / LOSS_IN_BURST  # of the bad state
    leave = 1 / BURST
    enter = leave * share / (1 - share)
    random = np.random.default_rng(seed)
    is_bad, lost = random.random() < share, np.zeros(n_packets, bool)
    for i, (turn, loss) in enumerate(random.random((n_packets, 2))):
        lost[i] = is_bad and loss < LOSS_IN_BURST
        is_bad = turn >= leave if is_bad else turn < enter
    return lost


PATTERNS = {"independent": independent, "bursts": bursts}


@dataclass(frozen=True)
class Receiver:
    """What is done about lost packets of a frame each."""

    name: str
    predicts: bool  # lost frames with the token model; or repeats the frame before
    look_ahead: bool = False  # waits for the frame after
    copied: int = 0  # codebooks of a frame that the next packet has as well

    def play(self, tokenizer: Tokenizer, tokens: Tokens, lost: NDArray[np.bool_]) -> Tensor:
        """Decode one recording without its lost frames, `lost` being `[T]`, to `[L]`.

        Raises:
            ValueError: the codec has no token model, and this receiver predicts.
        """
        if self.predicts and tokenizer.token_model is None:
            raise ValueError(f"{self.name}: the codec has no token model; train one with python -m train.token_model")
        codes = tokens.codes[0]
        copied = np.append(~lost[1:], False) * self.copied
        received = torch.from_numpy(np.where(lost, copied, len(codes)))
        model = tokenizer.token_model if self.predicts else None
        whole = conceal(codes, received, model, self.look_ahead)
        waveform = tokenizer.decode(replace(tokens, codes=whole[None]))[0]
        return fade(waveform, received, tokens.hop_length, tokens.sample_rate)


RECEIVERS = (
    Receiver("repeat", predicts=False),
    Receiver("predict", predicts=True),
    Receiver("predict, a frame later", predicts=True, look_ahead=True),
    Receiver("copies of 1", predicts=True, copied=1),
    Receiver("copies of 5", predicts=True, copied=5),
)
