"""Finite scalar quantization (Mentzer et al. 2023): each channel rounded to one of a few uniform levels."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from codec.quant.base import NO_CODE, Quantized, Quantizer, QuantizerConfig, keep_first
from codec.settings import PositiveInt, Probability, require

RANGE = 2.0  # of latents before tanh; the outermost of 21 levels starts at 1.8


@dataclass
class FSQConfig(QuantizerConfig):
    """A codebook of levels for each channel."""

    kind: str = field(default="fsq", init=False)
    n_channels: PositiveInt = 36  # one codebook each
    levels: int | tuple[int, ...] = 21  # one number, or one per channel
    round_prob: Probability = 0.5  # share of training samples rounded to levels ...
    noise_prob: float = 0.25  # ... and given uniform noise instead; the rest pass through

    def __post_init__(self) -> None:
        super().__post_init__()
        good = len(self.codebook_sizes) == self.n_channels
        require(good, "levels", self.levels, f"one entry for each of n_channels = {self.n_channels}")
        require(min(self.codebook_sizes) >= 2, "levels", self.levels, "at least 2 levels")
        good = 0 <= self.noise_prob <= 1 - self.round_prob
        require(good, "noise_prob", self.noise_prob, "0 to 1 - round_prob")

    @property
    def latent_dim(self) -> int:
        return self.n_channels

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        return (self.levels,) * self.n_channels if isinstance(self.levels, int) else self.levels

    @property
    def ordinal(self) -> tuple[bool, ...]:
        return (True,) * self.n_channels

    @property
    def penalties(self) -> tuple[str, ...]:
        return ("range",)

    def make(self) -> FSQ:
        return FSQ(self)


class FSQ(Quantizer):
    """Round tanh(x) to `levels[i]` uniform levels over [-1, 1] in channel i. No parameters.

    Channels without a code become 0, the middle of the range.
    """

    config: FSQConfig
    steps: Tensor  # [K], levels less 1

    def __init__(self, config: FSQConfig) -> None:
        super().__init__()
        self.config = config
        steps = torch.tensor([n - 1 for n in config.codebook_sizes], dtype=torch.float32)
        self.register_buffer("steps", steps, persistent=False)

    def encode(self, z: Tensor) -> Tensor:
        """Ties go to the even code."""
        return torch.round((torch.tanh(z.float()) + 1) / 2 * self.steps).long().transpose(1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        n_q = codes.shape[1]
        codes = codes.transpose(1, 2)
        values = torch.where(codes == NO_CODE, 0.0, codes * 2 / self.steps[:n_q] - 1)
        return F.pad(values, (0, len(self.steps) - n_q))

    def quantize(self, z: Tensor, n_q: Tensor, generator: torch.Generator | None) -> Quantized:
        """The penalty `range` is the mean square by which latents exceed `RANGE`, where tanh is nearly flat."""
        z = z.float()
        bounded, codes = torch.tanh(z), self.encode(z)
        values = rounded = bounded + (self.decode(codes) - bounded).detach()
        if self.training:
            c = self.config
            treatment = torch.rand(len(z), 1, 1, generator=generator, device=z.device)
            noise = torch.rand(z.shape, generator=generator, device=z.device) * 2 - 1
            dithered = bounded + noise / (self.steps + 1)
            values = torch.where(treatment < c.round_prob + c.noise_prob, dithered, bounded)
            values = torch.where(treatment < c.round_prob, rounded, values)
        values = values * keep_first(n_q, len(self.steps))[:, None]
        return Quantized(values, codes, {"range": (z.abs() - RANGE).relu().square().mean()}, n_q)
