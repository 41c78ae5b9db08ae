"""Where the numbers of weights lie in memory; values, names and shapes stay."""

from __future__ import annotations

import torch
from torch import nn

from codec.nn.conv import CausalConv1d, CausalConvTranspose1d

ROWS = {nn.Linear: 1, CausalConv1d: 1, CausalConvTranspose1d: 2}  # leading dimensions of a weight, of its matrix's rows


def by_columns(module: nn.Module) -> None:
    """Store matrices by columns, in place, where they are float32 on a CPU.

    Products with a few rows, as streams have them, read such a matrix twice as fast; others take as long.
    """
    for layer in module.modules():
        n = next((n for kind, n in ROWS.items() if isinstance(layer, kind)), 0)
        if n and layer.weight.dtype == torch.float32 and layer.weight.device.type == "cpu":
            shape = layer.weight.shape
            matrix = layer.weight.data.flatten(n).flatten(0, n - 1)  # [rows, columns]
            layer.weight.data = matrix.T.contiguous().T.unflatten(1, shape[n:]).unflatten(0, shape[:n])
