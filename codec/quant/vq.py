"""Vector quantization with a codebook of running means (van den Oord et al. 2017, appendix A.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.nn.state import full_precision

# Smallest usage a sum is divided by. The authors' serving code has 1e-5; one port uses 1e-8,
# which moves rows that are hardly used by orders of magnitude.
USAGE_FLOOR = 1e-5
KMEANS_STEPS = 10


@dataclass
class CodebookStats:
    """How codes spread over their codebooks."""

    usage: Tensor  # [K] share of entries that occur, 0 to 1
    perplexity: Tensor  # [K] exp(entropy): the number of equally likely entries that would be as varied


class VQ(nn.Module):
    """Nearest-neighbour codebook `[N, D]`, entry = embedding_sum / cluster_usage, learned without gradients.

    Always float32, also under autocast. `start` places the entries on data; `update` moves them and replaces dead ones.
    """

    embedding_sum: Tensor  # [N, D]
    cluster_usage: Tensor  # [N], running frequency of each entry; 1 is an equal share
    started: Tensor  # bool
    embedding: Tensor  # [N, D], derived
    half_norms: Tensor  # [N], derived: ||e||^2 / 2

    def __init__(self, codebook_size: int, dim: int, decay: float, revive_below: float, kmeans: bool) -> None:
        super().__init__()
        self.decay, self.revive_below, self.kmeans = decay, revive_below, kmeans
        self.register_buffer("embedding_sum", torch.randn(codebook_size, dim))
        self.register_buffer("cluster_usage", torch.ones(codebook_size))
        self.register_buffer("started", torch.tensor(False))
        self.register_buffer("embedding", torch.empty(codebook_size, dim), persistent=False)
        self.register_buffer("half_norms", torch.empty(codebook_size), persistent=False)
        self.refresh()

    def refresh(self) -> None:
        """Derive the entries from the running sums."""
        self.embedding = self.embedding_sum / self.cluster_usage.clamp(min=USAGE_FLOOR)[:, None]
        self.half_norms = self.embedding.square().sum(1) / 2

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.refresh()

    @property
    def perplexity(self) -> float:
        """exp(entropy) of the running usage: how many equally likely entries would be as varied."""
        p = self.cluster_usage / self.cluster_usage.sum()
        return float(torch.special.entr(p).sum().exp())

    def encode(self, x: Tensor) -> Tensor:
        """Index `[...]` int64 of the entry nearest to each vector of `x` `[..., D]`; the first of equals."""
        with full_precision(x):
            return (self.half_norms - F.linear(x, self.embedding)).argmin(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Entries `[..., D]` for codes `[...]` in 0 .. N - 1."""
        return F.embedding(codes, self.embedding)

    @torch.no_grad()
    def start(self, x: Tensor, generator: torch.Generator | None = None) -> None:
        """Place all entries on the vectors `x` `[M, D]`: random picks, then k-means where asked for.

        A buffer of latents much larger than the codebook, taken once the encoder has settled, avoids
        the collapse that one small batch leads to.
        """
        centres = _pick(x, len(self.embedding), generator)
        counts = torch.ones(len(centres), device=x.device)
        for _ in range(KMEANS_STEPS if self.kmeans else 0):
            with full_precision(x):
                nearest = (centres.square().sum(1) / 2 - x @ centres.T).argmin(1)
            counts, sums = self._assign(x, nearest)
            centres = torch.where((counts > 0)[:, None], sums / counts.clamp(min=1)[:, None], centres)
        self.cluster_usage.copy_(counts.clamp(min=1) * len(centres) / len(x))
        self.embedding_sum.copy_(centres * self.cluster_usage[:, None])
        self.started.fill_(True)
        self.refresh()

    @torch.no_grad()
    def update(self, x: Tensor, codes: Tensor, generator: torch.Generator | None = None) -> int:
        """Move the running sums towards vectors `x` `[M, D]` with codes `[M]`; returns how many were revived."""
        counts, sums = self._assign(x, codes)
        share = len(self.embedding) / len(x)  # makes what is rare, and so what is revived, the same at any batch size
        self.cluster_usage.lerp_(counts * share, 1 - self.decay)
        self.embedding_sum.lerp_(sums * share, 1 - self.decay)
        dead = self.cluster_usage < self.revive_below
        n_dead = int(dead.sum())
        if n_dead:
            self.embedding_sum[dead] = _pick(x, n_dead, generator)
            self.cluster_usage[dead] = 1.0
        self.refresh()
        return n_dead

    def _assign(self, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        counts = torch.bincount(codes, minlength=len(self.embedding)).to(x.dtype)
        return counts, torch.zeros_like(self.embedding_sum).index_add_(0, codes, x)


def codebook_stats(codes: Tensor, codebook_sizes: tuple[int, ...]) -> CodebookStats:
    """Usage and perplexity of each codebook, from codes `[B, K, T]`."""
    columns = codes.transpose(0, 1).flatten(1)
    counts = [torch.bincount(c, minlength=n) for c, n in zip(columns, codebook_sizes, strict=True)]
    usage = torch.stack([(n > 0).double().mean() for n in counts])
    entropy = torch.stack([torch.special.entr(n / n.sum()).sum() for n in counts])
    return CodebookStats(usage, entropy.exp())


def _pick(x: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
    """`n` random rows of `x`, without repetition as far as there are enough."""
    order = torch.cat([torch.randperm(len(x), generator=generator, device=x.device) for _ in range(-(-n // len(x)))])
    return x[order[:n]]
