"""Root mean square normalisation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class RMSNorm(nn.RMSNorm):
    """x / sqrt(mean(x^2) + eps) * weight, over the last dimension.

    PyTorch takes ten operations for that on a CPU, which streams notice; without a gradient, four do.
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__(dim, eps)
        self.size = math.sqrt(dim)
        self.zero, self.floor = torch.tensor([0.0, self.size * math.sqrt(eps)], dtype=torch.float32, device="cpu")

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_cpu or x.dtype != torch.float32 or x.requires_grad or torch.compiler.is_compiling():
            return super().forward(x)
        norm = torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), self.floor)
        return torch.addcmul(self.zero, x / norm, self.weight, value=self.size)
