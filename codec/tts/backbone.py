"""The backbone: a causal transformer with rotary positions, whole sequences at once or step by step."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.nn.norm import RMSNorm
from codec.nn.product import Linear
from codec.nn.transformer import Block
from codec.tts.config import TransformerConfig


class State(NamedTuple):
    """What a backbone remembers of B streams; of fixed shape, so that a compiled step fits every step."""

    length: Tensor  # [B] int64, steps of each stream so far
    kv: Tensor  # [n_layers, B, capacity, 2 * Hkv, head_dim], keys and values by position

    @property
    def capacity(self) -> int:
        """Steps that a stream can have."""
        return self.kv.shape[2]


def grow(kv: Tensor, capacity: int) -> Tensor:
    """The `kv` of a state with room for `capacity` steps, no fewer than now."""
    return F.pad(kv, (0, 0, 0, 0, 0, capacity - kv.shape[2]))


class Context(NamedTuple):
    """What all layers of one pass share."""

    cos: Tensor  # [B, T, 1, head_dim] float32, of the rotary angles, ...
    sin: Tensor  # ... likewise, negative in even channels
    mask: Tensor  # [B, 1, groups * T, S] bool, which keys each step sees
    places: Tensor | None  # [B * T] int64, in a state's B * capacity steps; None without a state


class CausalAttention(nn.Module):
    """Grouped-query attention `[B, T, dim]` -> `[B, T, dim]` with rotary positions on adjacent pairs of channels."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        c = config
        self.n_heads, self.n_kv_heads, self.head_dim = c.n_heads, c.n_kv_heads, c.head_dim
        self.qkv = Linear(c.dim, (c.n_heads + 2 * c.n_kv_heads) * c.head_dim)
        self.out = Linear(c.n_heads * c.head_dim, c.dim)

    def forward(self, x: Tensor, context: Context, cache: Tensor | None = None) -> tuple[Tensor, None]:
        """`cache` `[B, capacity, 2 * Hkv, head_dim]` takes up the keys and values of `x`, in place."""
        qkv = self.qkv(x).unflatten(2, (-1, self.head_dim))
        qk, v = qkv.split((self.n_heads + self.n_kv_heads, self.n_kv_heads), dim=2)
        q, k = rotate(qk, context.cos, context.sin).split((self.n_heads, self.n_kv_heads), dim=2)
        kv = torch.cat([k, v], dim=2)
        if cache is not None:
            assert context.places is not None
            cache.flatten(0, 1).index_copy_(0, context.places, kv.flatten(0, 1))
            kv = cache
        k, v = kv.transpose(1, 2).chunk(2, dim=1)  # [B, Hkv, S, d]
        # The queries that share a key head stand below each other, so that no key is copied.
        batch_size, steps, _, _ = q.shape
        q = q.transpose(1, 2).reshape(batch_size, self.n_kv_heads, -1, self.head_dim)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=context.mask)
        y = y.reshape(batch_size, self.n_heads, steps, self.head_dim)
        return self.out(y.transpose(1, 2).flatten(2)), None


class Backbone(nn.Module):
    """Steps `[B, T, dim]` to hidden states `[B, T, dim]` after the final norm; each sees itself and those before it.

    Args:
        config: the transformer.
        rope_theta: base of the rotary frequencies.
    """

    def __init__(self, config: TransformerConfig, rope_theta: float) -> None:
        super().__init__()
        self.config, self.rope_theta = config, rope_theta
        self.layers = nn.ModuleList(
            Block(CausalAttention(config), config.dim, config.hidden_dim, config.norm_eps)
            for _ in range(config.n_layers)
        )
        self.norm = RMSNorm(config.dim, config.norm_eps)

    def init_state(self, batch_size: int, capacity: int) -> State:
        """Fresh streams that can have `capacity` steps, on the model's device and in its dtype."""
        c, like = self.config, self.norm.weight
        kv = like.new_zeros(c.n_layers, batch_size, capacity, 2 * c.n_kv_heads, c.head_dim)
        return State(torch.zeros(batch_size, dtype=torch.int64, device=like.device), kv)

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Whole sequences `[B, T, dim]`.

        Args:
            x: one sequence to a row, or several packed.
            positions: `[B, T]` int64, of each step in its sequence, which begins at 0; None: a row is a sequence.
        """
        steps = torch.arange(x.shape[1], device=x.device)
        positions = steps.expand(len(x), -1) if positions is None else positions
        sequence = (positions == 0).cumsum(1)
        mask = (sequence[:, :, None] == sequence[:, None]) & (steps[:, None] >= steps)  # [B, T, T]
        return self._run(x, positions, mask, None)

    def step(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """The next T steps `[B, T, dim]` of each stream.

        Args:
            x: only the first `lengths` steps of a row count; hidden states after them mean nothing.
            state: from `init_state` or the last call; its `kv` is overwritten and belongs to the new state.
            lengths: `[B]` int64; None: all have T. The capacity must hold T more steps than each stream has.
        """
        positions = state.length[:, None] + torch.arange(x.shape[1], device=x.device)
        mask = torch.arange(state.capacity, device=x.device) <= positions[:, :, None]  # [B, T, capacity]
        h = self._run(x, positions, mask, state.kv)
        return h, State(state.length + (x.shape[1] if lengths is None else lengths), state.kv)

    def _run(self, x: Tensor, positions: Tensor, mask: Tensor, kv: Tensor | None) -> Tensor:
        c = self.config
        powers = torch.arange(0, c.head_dim, 2, device=x.device, dtype=torch.float32) / c.head_dim
        angles = positions[:, :, None, None] * self.rope_theta**-powers  # [B, T, 1, d / 2]
        cos, sin = angles.cos().repeat_interleave(2, -1), torch.stack([-angles.sin(), angles.sin()], -1).flatten(-2)
        mask = mask[:, None].repeat(1, 1, c.n_heads // c.n_kv_heads, 1)
        places = None
        if kv is not None:
            places = (positions + kv.shape[2] * torch.arange(len(x), device=x.device)[:, None]).flatten()
        context = Context(cos, sin, mask, places)
        for i, layer in enumerate(self.layers):
            x, _ = layer(x, context, None if kv is None else kv[i])
        return self.norm(x)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each adjacent pair of channels of `[B, T, H, d]` by its angle, in float32; the type of `x` stays."""
    swapped = x.float().unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    return torch.addcmul(x * cos, swapped, sin).to(x.dtype)
