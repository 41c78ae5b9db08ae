"""Vector quantization with a codebook of running means (van den Oord et al. 2017, appendix A.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.autocast import full_precision
from codec.settings import AtLeast2, BelowOne, NonNegativeFloat, PositiveInt, Probability, Settings

# Smallest usage to divide sums by. The authors' serving code has 1e-5; a port has 1e-8, which changes rarely used rows
# by orders of magnitude.
USAGE_FLOOR = 1e-5
KMEANS_STEPS = 10


@dataclass
class VQConfig(Settings):
    """Settings of a VQ codebook.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    codebook_size: AtLeast2 = 8192  # entries
    dim: PositiveInt = 256  # width of an entry
    init: Literal["kmeans", "first_batch"] = "kmeans"  # initialisation of entries from latents
    decay: BelowOne = 0.99  # of the running sums, per training step
    revive_below: NonNegativeFloat = 0.03  # entries with less than this share of the mean usage are replaced; 0: never
    quantize_prob: Probability = 0.5  # share of training samples that are quantized; the rest pass through


@dataclass
class CodebookStats:
    """Statistics of codes, by codebook."""

    usage: Tensor  # [K] share of entries that occur, 0 to 1
    perplexity: Tensor  # [K] exp(entropy): effective number of entries


class VQ(nn.Module):
    """Nearest-neighbour codebook `[N, D]`, entry = embedding_sum / cluster_usage, learned without gradients.

    Always float32, also under autocast. `start` initialises entries from data; `update` moves them and replaces unused
    ones. Neither changes a `frozen` codebook.
    """

    frozen = False
    embedding_sum: Tensor  # [N, D]
    cluster_usage: Tensor  # [N], running frequency of each entry; 1 is an equal share
    started: Tensor  # bool
    embedding: Tensor  # [N, D], derived
    half_norms: Tensor  # [N], derived: ||e||^2 / 2

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("embedding_sum", torch.randn(config.codebook_size, config.dim))
        self.register_buffer("cluster_usage", torch.ones(config.codebook_size))
        self.register_buffer("started", torch.tensor(False))
        self.register_buffer("embedding", torch.empty(config.codebook_size, config.dim), persistent=False)
        self.register_buffer("half_norms", torch.empty(config.codebook_size), persistent=False)
        self.refresh()

    def refresh(self) -> None:
        """Compute entries from the running sums."""
        self.embedding = self.embedding_sum / self.cluster_usage.clamp(min=USAGE_FLOOR)[:, None]
        self.half_norms = self.embedding.square().sum(1) / 2

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.refresh()

    @property
    def perplexity(self) -> float:
        """exp(entropy) of the running usage: effective number of entries."""
        p = self.cluster_usage / self.cluster_usage.sum()
        return float(torch.special.entr(p).sum().exp())

    def encode(self, x: Tensor) -> Tensor:
        """Index `[...]` int64 of the nearest entry of each vector of `x` `[..., D]`; the first of ties."""
        with full_precision(x):
            return (self.half_norms - F.linear(x, self.embedding)).argmin(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Entries `[..., D]` for codes `[...]` in 0 .. N - 1."""
        return F.embedding(codes, self.embedding)

    @torch.no_grad()
    def start(self, x: Tensor, generator: torch.Generator | None = None) -> None:
        """Initialise all entries from vectors `x` `[M, D]`: random picks, then k-means if configured.

        Use many more latents than entries, after some training of the encoder: a small batch leads to collapse.
        """
        if self.frozen:
            return
        centres = _pick(x, len(self.embedding), generator)
        counts = torch.ones(len(centres), device=x.device)
        for _ in range(KMEANS_STEPS if self.config.init == "kmeans" else 0):
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
        """Update the running sums by vectors `x` `[M, D]` with codes `[M]`; returns the number of replaced entries."""
        if self.frozen:
            return 0
        counts, sums = self._assign(x, codes)
        share = len(self.embedding) / len(x)  # makes usage independent of the batch size
        self.cluster_usage.lerp_(counts * share, 1 - self.config.decay)
        self.embedding_sum.lerp_(sums * share, 1 - self.config.decay)
        dead = self.cluster_usage < self.config.revive_below
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
    """`n` random rows of `x`, without repetition if there are enough."""
    order = torch.cat([torch.randperm(len(x), generator=generator, device=x.device) for _ in range(-(-n // len(x)))])
    return x[order[:n]]
