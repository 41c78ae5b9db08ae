"""Causal attention over a sliding window, with ALiBi distances and normalised queries and keys."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from codec.nn.norm import RMSNorm
from codec.nn.product import Linear
from codec.nn.state import Span

# The first ALiBi slope is r ** ALIBI_FIRST_POWER with r = 2 ** (-8 / heads). The model's authors'
# serving code starts at 1 (power 0); several ports start at r, as the ALiBi paper does.
ALIBI_FIRST_POWER = 0
# Keys a query sees besides the `window` past ones. One public port counts the current step as past.
CURRENT_KEYS = 1

BLOCK_SIZE = 16  # queries that share one block of keys; trades wasted scores for larger products


def alibi_slopes(n_heads: int) -> Tensor:
    """Slopes `[H]` float32: a geometric series, completed for other than powers of two from the next one's."""

    def series(n: int) -> list[float]:
        return [2.0 ** (-8 * (h + ALIBI_FIRST_POWER) / n) for h in range(n)]

    power = 2 ** int(math.log2(n_heads))
    return torch.tensor(series(power) + series(2 * power)[::2][: n_heads - power])


class WindowAttention(nn.Module):
    """Each step of `[B, T, dim]` attends to itself and the `window` steps before it.

    score(i, j) = q_i . k_j / sqrt(head_dim) + slope * (j - i). Time and memory grow linearly with T:
    queries are cut into blocks, each of which meets its own keys and those just before it. Queries
    and keys are RMS-normalised over all heads together; `n_kv_heads` may be a divisor of `n_heads`.
    """

    bias: Tensor  # [1, H, block, keys], scores by distance
    keys: Tensor  # [keys] int64, places of a block's keys relative to its first query

    def __init__(self, dim: int, n_heads: int, n_kv_heads: int, head_dim: int, window: int, qk_norm_eps: float) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_dim = n_heads, n_kv_heads, head_dim
        self.q_dim, self.kv_dim = n_heads * head_dim, n_kv_heads * head_dim
        self.qkv = Linear(dim, self.q_dim + 2 * self.kv_dim)
        self.q_norm = RMSNorm(self.q_dim, qk_norm_eps)
        self.k_norm = RMSNorm(self.kv_dim, qk_norm_eps)
        self.out = Linear(self.q_dim, dim)
        past = window + CURRENT_KEYS - 1
        self.tail_shape = (past, 2 * self.kv_dim)
        self.n_past_blocks = math.ceil(past / BLOCK_SIZE)
        lead = self.n_past_blocks * BLOCK_SIZE
        self.register_buffer("bias", _band(n_heads, past, lead)[None], persistent=False)
        self.register_buffer("keys", torch.arange(lead + BLOCK_SIZE) - lead, persistent=False)

    def forward(self, x: Tensor, tail: Tensor, span: Span) -> tuple[Tensor, Tensor]:
        steps = x.shape[1]
        q, k, v = self.qkv(x).split((self.q_dim, self.kv_dim, self.kv_dim), dim=2)
        kv = torch.cat([tail, torch.cat([self.k_norm(k), v], dim=2)], dim=1)  # [B, past + T, 2 * Hkv * d]
        is_known = isinstance(steps, int)  # else a graph is made for any number
        attend_to = self._all if is_known and steps <= BLOCK_SIZE else self._blocks
        y = attend_to(self.q_norm(q), kv, span)
        return self.out(y), kv[:, kv.shape[1] - self.tail_shape[0] :]

    def _all(self, q: Tensor, kv: Tensor, span: Span) -> Tensor:
        """As `_blocks`, for no more queries than one block has: they meet all keys."""
        batch, steps, _ = q.shape
        lead, past = self.keys.shape[0] - BLOCK_SIZE, self.tail_shape[0]
        near = slice(lead - past, lead + steps)
        q = q.view(batch, steps, self.n_heads, self.head_dim).transpose(1, 2)
        kv = kv.view(batch, past + steps, 2, self.n_kv_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        bias = self.bias[:, :, :steps, near]
        return self._attend(q, kv, bias if span.steady else _mask(bias, self.keys[near], span.seen))

    def _blocks(self, q: Tensor, kv: Tensor, span: Span) -> Tensor:
        """Queries `[B, T, H * d]` meet keys and values `[B, past + T, 2 * Hkv * d]`: values `[B, T, H * d]`."""
        batch, steps, _ = q.shape
        n_blocks = (steps + BLOCK_SIZE - 1) // BLOCK_SIZE
        lead = self.n_past_blocks * BLOCK_SIZE - self.tail_shape[0]
        fill = n_blocks * BLOCK_SIZE - steps
        q = F.pad(q, (0, 0, 0, fill))
        q = rearrange(q, "b (n s) (h d) -> (b n) h s d", s=BLOCK_SIZE, h=self.n_heads)
        kv = F.pad(kv, (0, 0, lead, fill)).unflatten(1, (-1, BLOCK_SIZE))  # [B, n_past + n, block, 2 * Hkv * d]
        kv = torch.cat([kv[:, i : i + n_blocks] for i in range(self.n_past_blocks + 1)], dim=2)
        kv = rearrange(kv, "b n s (two h d) -> two (b n) h s d", two=2, h=self.n_kv_heads)
        bias = self.bias
        if not span.steady:
            starts = torch.arange(0, n_blocks * BLOCK_SIZE, BLOCK_SIZE, device=self.keys.device)
            bias = _mask(bias, self.keys, (span.seen[:, None] + starts).flatten())
        y = self._attend(q, kv, bias).reshape(batch, -1, self.q_dim)[:, :steps]
        return y.contiguous()  # of a strided view the product would copy its weight

    def _attend(self, q: Tensor, kv: Tensor, bias: Tensor) -> Tensor:
        """Queries `[N, H, T, d]` meet keys and values `[2, N, Hkv, S, d]`: values `[N, T, H * d]`."""
        if self.n_kv_heads != self.n_heads:
            kv = kv.repeat_interleave(self.n_heads // self.n_kv_heads, dim=2)
        k, v = kv.unbind()
        return attend(q, k, v, bias).transpose(1, 2).flatten(2)


def _mask(bias: Tensor, keys: Tensor, first: Tensor) -> Tensor:
    """`bias` `[1, H, queries, keys]` without keys before the start of their stream, `[N, H, queries, keys]`.

    `first` `[N]` are the places of the first queries in their streams, and `keys` those of the keys relative to it.
    """
    return bias.masked_fill((first[:, None] + keys < 0)[:, None, None], -math.inf)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """softmax(q k^T / sqrt(d) + bias) v. On a CPU PyTorch's fused backward pass is slow for many small problems."""
    if q.device.type == "cpu" and q.requires_grad:
        scores = q @ k.mT * q.shape[-1] ** -0.5
        scores = scores if bias is None else scores + bias
        return scores.softmax(-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def _band(n_heads: int, past: int, lead: int) -> Tensor:
    """ALiBi scores `[H, block, lead + block]` of one block's queries, -inf outside of the window."""
    distance = torch.arange(BLOCK_SIZE)[:, None] + lead - torch.arange(lead + BLOCK_SIZE)
    bias = -alibi_slopes(n_heads)[:, None, None] * distance
    return bias.masked_fill((distance < 0) | (distance > past), -math.inf)
