"""Causal convolutions as matrix products: output step t sees the input up to t and nothing after.

Weights are stored ready for the product, taps in time order. Weight normalisation is a way to train
and to store such a matrix, not a part of the model: `codec.checkpoint.voxtral` folds it in.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.nn.product import Product
from codec.nn.state import Span

# Padding of a stream's two ends: mirrored beside the waveform, repeated inside the encoder and decoder.
# One public port mirrors everywhere, which changes half of the codes.
PROJ_PADDING = "reflect"
BLOCK_PADDING = "replicate"


class CausalConv1d(Product):
    """Convolve `[B, T, in_dim]` to `[B, T / stride, out_dim]`; `stride` must divide T. No bias.

    Before the first step stand copies of it ("replicate") or the steps after it, mirrored
    ("reflect", where a stream shorter than the mirror is continued with zeros). At the end of a
    stream whose length is no multiple of `stride`, its last step is repeated.
    """

    def __init__(
        self, in_dim: int, out_dim: int, kernel_size: int, stride: int = 1, padding: str = BLOCK_PADDING
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_dim, kernel_size, in_dim))
        nn.init.kaiming_uniform_(self.weight.flatten(1), a=math.sqrt(5))
        self.stride, self.padding = stride, padding
        self.tail_shape = (kernel_size - stride, in_dim)

    def forward(self, x: Tensor, tail: Tensor, span: Span) -> tuple[Tensor, Tensor]:
        x = x.to(tail.dtype)
        batch_size, _, in_dim = x.shape
        if not span.steady:
            tail, x = self._ends(x, tail, span)
        x = torch.cat([tail, x], dim=1)
        blocks = x.view(batch_size, -1, self.stride * in_dim)  # of steps that windows begin with, one after the other
        y = self.product(_windows(blocks, self.weight.shape[1] // self.stride))
        return y, x[:, x.shape[1] - self.tail_shape[0] :]

    def _ends(self, x: Tensor, tail: Tensor, span: Span) -> tuple[Tensor, Tensor]:
        """What stands before the first step of streams that start here, and after the last of those that end."""
        overlap = self.tail_shape[0]
        end = span.padding(x)
        if self.padding == "reflect":
            head = x if end is None else x.masked_fill(end, 0)
            before = head[:, 1 : overlap + 1]
            before = F.pad(before, (0, 0, 0, overlap - before.shape[1])).flip(1)
        else:
            before = x[:, :1].expand(-1, overlap, -1)
            if self.stride > 1 and end is not None:
                assert span.length is not None
                last = (span.length - 1).clamp(min=0)[:, None, None].expand(-1, 1, x.shape[2])
                x = torch.where(end, x.gather(1, last), x)
        return span.past(tail, before), x


class CausalConvTranspose1d(Product):
    """Upsample `[B, T, in_dim]` to `[B, T * stride, out_dim]`; `kernel_size` is a multiple of `stride`. No bias.

    The last `kernel_size - stride` outputs of an ordinary transposed convolution are dropped.
    """

    n_row_dims = 2

    def __init__(self, in_dim: int, out_dim: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        taps = kernel_size // stride
        self.weight = nn.Parameter(torch.empty(stride, out_dim, taps, in_dim))
        nn.init.kaiming_uniform_(self.weight.flatten(0, 1).flatten(1), a=math.sqrt(5))
        self.tail_shape = (taps - 1, in_dim)

    def forward(self, x: Tensor, tail: Tensor, span: Span) -> tuple[Tensor, Tensor]:
        stride, out_dim, taps, _ = self.weight.shape
        x = torch.cat([span.past(tail), x], dim=1)
        tail = x[:, x.shape[1] - taps + 1 :]
        y = self.product(_windows(x, taps))  # [B, T, stride * out_dim]
        return y.unflatten(2, (stride, out_dim)).flatten(1, 2), tail


def _windows(x: Tensor, size: int) -> Tensor:
    """All windows of `size` steps, side by side: `[B, T, D]` -> `[B, T - size + 1, size * D]`."""
    windows = x.flatten(1).unfold(1, size * x.shape[2], x.shape[2])
    return windows.clone(memory_format=torch.contiguous_format)  # graphs of views exclude single steps
