"""What heads that draw codes from distributions share: a table and an output per codebook, and Gumbel noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CodeEmbedding(nn.Embedding):
    """Codes of neighbouring codebooks `[N, T]` -> `[N, T, dim]`, each codebook with its own table of `n_codes` rows."""

    def __init__(self, n_codebooks: int, n_codes: int, dim: int) -> None:
        super().__init__(n_codebooks * n_codes, dim)
        self.n_codes = n_codes

    def forward(self, codes: Tensor, first: int = 0) -> Tensor:
        """`first`: codebook of the first column."""
        codebooks = torch.arange(first, first + codes.shape[1], device=codes.device)
        return super().forward(codes + codebooks * self.n_codes)


class CodeOutput(nn.Linear):
    """`[N, T, dim]` -> float32 logits `[N, T, n_codes]` of T neighbouring codebooks, each with its own weights."""

    def __init__(self, n_codebooks: int, n_codes: int, dim: int) -> None:
        super().__init__(dim, n_codebooks * n_codes, bias=False)
        self.n_codes = n_codes

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """`first`: codebook of the first position."""
        weight = self.weight.unflatten(0, (-1, self.n_codes))[first : first + x.shape[1]]
        return torch.einsum("ntd,tcd->ntc", x, weight).float()


def gumbel(*shape: int, generator: torch.Generator | None = None) -> Tensor:
    """Finite noise g on the CPU: argmax(logits + temperature * g) draws from softmax(logits / temperature)."""
    waits = torch.empty(shape, dtype=torch.float32).exponential_(generator=generator)
    return -waits.clamp(min=torch.finfo(torch.float32).tiny).log()
