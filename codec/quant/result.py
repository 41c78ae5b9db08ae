"""What quantizing latents gives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Quantized:
    """Quantized latents, as a training step needs them."""

    z: Tensor  # [B, T, D], with a straight-through gradient
    codes: Tensor  # [B, K, T] int64
    commit_loss: Tensor  # scalar, ||z_e - sg(z_q)||^2 of the semantic part, mean over batch and frames
    n_q: Tensor  # [B] int64, codebooks kept by nested dropout
