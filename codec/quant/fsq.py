"""Finite scalar quantization: each acoustic channel rounded to one of a few uniform levels."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FSQ(nn.Module):
    """Round tanh(x) to `levels[i]` uniform levels over [-1, 1] in channel i. No parameters."""

    steps: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor([n - 1 for n in levels], dtype=torch.float32), persistent=False)

    def encode(self, x: Tensor) -> Tensor:
        """Latents `[B, T, n]` -> codes `[B, T, n]` int64 in 0 .. levels - 1; ties go to the even code."""
        return torch.round((torch.tanh(x) + 1) / 2 * self.steps).long()

    def decode(self, codes: Tensor) -> Tensor:
        """Codes `[B, T, k]` of the first k channels -> values `[B, T, n]` in [-1, 1]; absent channels are 0."""
        k = codes.shape[2]
        values = codes * 2 / self.steps[:k] - 1
        return torch.nn.functional.pad(values, (0, len(self.steps) - k))

    def forward(self, x: Tensor, mode: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Quantize for training.

        Args:
            x: latents `[B, T, n]`.
            mode: `[B]` int64: 0 rounds with a straight-through gradient, 1 adds noise uniform in
                +-1/levels in place of rounding (dither), 2 leaves tanh(x) as it is.
            generator: source of the noise, on the device of `x`.

        Returns:
            Values `[B, T, n]` and the codes `[B, T, n]` that rounding gives.
        """
        bounded, codes = torch.tanh(x), self.encode(x)
        rounded = bounded + (self.decode(codes) - bounded).detach()
        noise = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) * 2 - 1
        dithered = bounded + noise / (self.steps + 1)
        mode = mode[:, None, None]
        return torch.where(mode == 0, rounded, torch.where(mode == 1, dithered, bounded)), codes
