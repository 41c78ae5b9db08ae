"""What an acoustic head does, and the attention that all of them are built with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from codec.nn.attention import attend
from codec.nn.product import Linear
from codec.nn.transformer import Block
from codec.settings import require
from codec.tts.config import TransformerConfig

DROP_PROB = 0.1  # share of hidden states that training replaces by zeros, for guidance


@dataclass(frozen=True)
class HeadSampling:
    """How acoustic codes are drawn; a head reads what it knows.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    n_steps: int = 7  # evaluations a frame: solver steps of the flow head, rounds of MaskGIT
    cfg_scale: float = 2.0  # guidance, 1.2 in the paper: 1 follows the hidden state alone, more exaggerates it
    solver: Literal["euler", "midpoint"] = "euler"  # midpoint spends two evaluations a step
    temperature: float = 0.2  # of drawn codes; of the flow head, the deviation of the noise: less is plainer

    def __post_init__(self) -> None:
        require(self.n_steps >= 1, "n_steps", self.n_steps, "at least 1")
        require(self.solver in ("euler", "midpoint"), "solver", self.solver, "euler or midpoint")
        require(self.temperature >= 0, "temperature", self.temperature, "0 or more")


class AcousticHead(nn.Module, ABC):
    """From hidden states `[N, dim]` of N frames to their acoustic codes `[N, acoustic_dim]`, each 0 .. levels - 1."""

    needs_levels: ClassVar[bool] = False  # whether codes must be ordinal, see `codec.quant.base.QuantizerConfig`

    @abstractmethod
    def loss(self, h: Tensor, codes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """`[N]` float32: what training minimises, for codes `[N, acoustic_dim]` int64."""

    @abstractmethod
    def draw(self, sampling: HeadSampling, generator: torch.Generator | None = None) -> Tensor:
        """The random numbers that one frame needs, on the CPU, so that a stream's do not depend on its neighbours."""

    @abstractmethod
    def sample(self, h: Tensor, noise: Tensor, sampling: HeadSampling) -> Tensor:
        """Codes `[N, acoustic_dim]` int64 for noise `[N, ...]`, each row from `draw`."""


class FullAttention(nn.Module):
    """Grouped-query attention `[N, T, dim]` -> `[N, T, dim]` without positions."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        c = config
        self.n_heads, self.n_kv_heads, self.head_dim = c.n_heads, c.n_kv_heads, c.head_dim
        self.qkv = Linear(c.dim, (c.n_heads + 2 * c.n_kv_heads) * c.head_dim)
        self.out = Linear(c.n_heads * c.head_dim, c.dim)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, past: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The output, and `past` with the positions of `x` appended.

        Args:
            x: `[N, T, dim]`.
            mask: `[T, T]` bool, which positions each sees; None: all.
            past: `[2, N, Hkv, S, head_dim]`, keys and values of S positions seen as well; None: none, none returned.
        """
        n, steps, _ = x.shape
        qkv = self.qkv(x).view(n, steps, -1, self.head_dim).transpose(1, 2)  # [N, H + 2 * Hkv, T, d]
        q, k, v = qkv.split((self.n_heads, self.n_kv_heads, self.n_kv_heads), dim=1)
        if past is not None:
            past = torch.cat([past, torch.stack([k, v])], dim=3)
            k, v = past
        # The queries that share a key head stand below each other, so that no key is copied.
        q = q.reshape(n, self.n_kv_heads, -1, self.head_dim)
        bias = None
        if mask is not None:
            bias = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, -torch.inf)
            bias = bias.repeat(self.n_heads // self.n_kv_heads, 1)
        y = attend(q, k, v, bias).reshape(n, self.n_heads, steps, self.head_dim)
        return self.out(y.transpose(1, 2).flatten(2)), past


def make_layers(config: TransformerConfig, n_first: int | None = None) -> nn.ModuleList:
    """The blocks of a head, the last of which gives the first `n_first` positions; None: all."""
    blocks = [
        Block(FullAttention(config), config.dim, config.hidden_dim, config.norm_eps) for _ in range(config.n_layers)
    ]
    blocks[-1].n_first = n_first
    return nn.ModuleList(blocks)


def init_past(config: TransformerConfig, h: Tensor) -> list[Tensor]:
    """Keys and values of no positions for each block, of the device and dtype of `h` `[N, dim]`."""
    return [h.new_empty(2, len(h), config.n_kv_heads, 0, config.head_dim)] * config.n_layers


def drop_hidden(h: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Hidden states `[N, dim]`, a random share of them replaced by zeros."""
    keep = torch.rand(len(h), generator=generator, device=h.device) >= DROP_PROB
    return h * keep[:, None]
