"""The pre-norm residual block that the codec, the speech backbone and the flow head share."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.nn.norm import RMSNorm
from codec.nn.product import Linear


class SwiGLU(nn.Module):
    """Feed-forward `[..., dim] -> [..., dim]`: down(silu(gate(x)) * up(x)), gate and up in one product. No bias."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.gate_up = Linear(dim, 2 * hidden_dim)
        self.down = Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class LayerScale(nn.Module):
    """x + weight * y: add a branch, each channel times a learned factor, small at first."""

    def __init__(self, dim: int, init: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((dim,), init))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.addcmul(x, self.weight, y)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)), each branch scaled when `layer_scale` is given.

    The attention is handed in, and with it what it needs: `attention(x, *context)` returns its
    output and its new state, and `Block` passes both on. Training may set `dropout`, of both branches.
    """

    def __init__(
        self, attention: nn.Module, dim: int, hidden_dim: int, norm_eps: float, layer_scale: float | None = None
    ) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(dim, norm_eps)
        self.attention = attention
        self.feed_forward_norm = RMSNorm(dim, norm_eps)
        self.feed_forward = SwiGLU(dim, hidden_dim)
        self.attention_scale = None if layer_scale is None else LayerScale(dim, layer_scale)
        self.feed_forward_scale = None if layer_scale is None else LayerScale(dim, layer_scale)
        self.dropout = 0.0
        self.n_first: int | None = None  # steps, from the first, that come out; None: all

    def forward(self, x: Tensor, *context: Any) -> tuple[Tensor, Any]:
        y, state = self.attention(self.attention_norm(x), *context)
        if self.n_first is not None:
            x, y = x[:, : self.n_first], y[:, : self.n_first]
        x = self._add(x, y, self.attention_scale)
        return self._add(x, self.feed_forward(self.feed_forward_norm(x)), self.feed_forward_scale), state

    def _add(self, x: Tensor, y: Tensor, scale: LayerScale | None) -> Tensor:
        y = F.dropout(y, self.dropout) if self.training else y
        return x + y if scale is None else scale(x, y)
