"""A chain of causal layers with different step rates, and its streaming state."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from codec.config import CodecConfig
from codec.nn.attention import WindowAttention
from codec.nn.conv import CausalConv1d, CausalConvTranspose1d
from codec.nn.source_filter import PitchReader, SourceFilter
from codec.nn.spectrum import SpectrumFront
from codec.nn.state import Span, State, is_steady
from codec.nn.transformer import Block


class CausalStack(nn.Module):
    """Layers in order, each `(x, tail, span) -> (y, tail)`. Built with `add_blocks` and `add`."""

    def __init__(self, config: CodecConfig, steps_per_frame: int) -> None:
        super().__init__()
        self.config = config
        self.steps_per_frame = steps_per_frame  # at the input
        self.layers = nn.ModuleList()
        self.scales: list[tuple[int, int]] = []  # steps out, steps in, of each layer
        self.tail_shapes: list[tuple[int, int]] = []
        self.memory = 1  # frames until all tails are full, also those of a front end or head

    def add(self, layer: CausalConv1d | CausalConvTranspose1d, up: int = 1, down: int = 1) -> None:
        self._append(layer, layer.tail_shape, (up, down))

    def add_blocks(self, n_layers: int, window: int) -> None:
        c = self.config
        for _ in range(n_layers):
            attention = WindowAttention(c.dim, c.n_heads, c.n_kv_heads, c.head_dim, window, c.qk_norm_eps)
            block = Block(attention, c.dim, c.hidden_dim, c.norm_eps, c.layer_scale_init)
            self._append(block, attention.tail_shape, (1, 1))

    def _append(self, layer: nn.Module, tail_shape: tuple[int, int], scale: tuple[int, int]) -> None:
        self.layers.append(layer)
        steps = self.steps_per_frame * math.prod(up / down for up, down in self.scales)
        self.memory = max(self.memory, math.ceil(tail_shape[0] / steps))
        self.scales.append(scale)
        self.tail_shapes.append(tail_shape)

    def init_state(self, batch_size: int) -> State:
        """Initial state of `batch_size` streams, on the model's device and in its dtype."""
        like = next(self.parameters())
        seen = torch.zeros(batch_size, dtype=torch.int64, device=like.device)
        return [seen, *(like.new_zeros(batch_size, *shape) for shape in self.tail_shapes)]

    def span(self, seen: Tensor, length: Tensor | None) -> Span:
        """Position of a chunk at the input.

        Args:
            seen: `[B]` int64, frames before the chunk.
            length: `[B]` int64, input steps without padding; None: all.
        """
        return Span(seen * self.steps_per_frame, length, is_steady(seen, length, self.memory))

    def forward(self, x: Tensor, tails: State, span: Span) -> tuple[Tensor, State]:
        """Run one chunk of whole frames.

        Args:
            x: `[B, T * steps_per_frame, D]`.
            tails: from `init_state`, without its first, or the previous chunk; more of them are passed through.
            span: position of the chunk.

        Returns:
            The output `[B, T', D']` and the tails after the chunk.
        """
        tails, is_short = tails.copy(), span.steady and x.shape[1] == self.steps_per_frame
        for i, (layer, scale) in enumerate(zip(self.layers, self.scales, strict=True)):
            x, tail = layer(x, tails[i], span)
            tails[i] = tail if is_short else tail.clone()  # a view would keep the whole chunk in memory
            span = span.scaled(*scale)
        return x, tails


def edge_tails(batch_size: int, device: torch.device, *layers: SpectrumFront | PitchReader | SourceFilter) -> State:
    """Initial float32 tails of the layers of a front end or head."""
    return [torch.zeros(batch_size, *layer.tail_shape, device=device, dtype=torch.float32) for layer in layers]
