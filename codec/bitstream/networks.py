"""Networks of integers that score the codes of a layer; sums are exact in float32, for any order, thread or library."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

ONE = 128  # integer for a weight or activation of 1
LIMIT = 127  # largest weight or activation, as int8
BIAS_LIMIT = 2**15 - 1  # as int16
EXACT = 2**24  # float32 represents all integers up to this
UNITS = 16  # of log-likelihoods, per nat
FLOOR = 255  # largest distance in units from the most likely code, so that all are possible
SHARPNESS = 32  # that of a distribution over levels whose log-likelihood falls by a unit per unit of distance
ENTRY_SCALE = 32  # product of an output and a vector's component that adds a unit to the log-likelihood
# Log-likelihood of the logistic distribution, in units, by distance; rounded, as the last bit depends on the machine.
_HILL = torch.from_numpy(np.round(2 * UNITS * np.log(np.cosh(np.arange(2 * FLOOR) / (2 * UNITS))))).float()


class LayerModel(nn.Module):
    """Scores of the codes of `n_books` codebooks: two hidden layers of integers in 0 .. `LIMIT`, and the input itself.

    Parameters are rounded in training.
    """

    def __init__(self, n_inputs: int, width: int, n_books: int, n_codes: int, n_outputs: int) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Parameter(torch.randn(width, columns) * ONE * columns**-0.5) for columns in (n_inputs, width)
        )
        self.out = nn.Parameter(torch.zeros(n_books * n_outputs, width + n_inputs))
        self.out_bias = nn.Parameter(torch.zeros(n_books * n_outputs))
        self.bias = nn.Parameter(torch.zeros(n_books, n_codes))

    def forward(self, x: Tensor) -> Tensor:
        """Integers `[T, inputs]` to log-likelihoods `[T, books, codes]`, integers in `UNITS`."""
        hidden = x
        for weight in (self.first, self.second):
            hidden = straight_through(torch.floor, hidden @ integers(weight).T / ONE).clamp(0, LIMIT)
        y = torch.cat([hidden, x], dim=1) @ integers(self.out).T / ONE
        y = straight_through(torch.floor, y) + integers(self.out_bias, BIAS_LIMIT)
        return self.scores(y.unflatten(1, (len(self.bias), -1))) + integers(self.bias, BIAS_LIMIT)

    def scores(self, y: Tensor) -> Tensor:
        """Outputs `[T, books, n]` to scores `[T, books, codes]`."""
        raise NotImplementedError


class LevelModel(LayerModel):
    """Codes are levels: outputs are the middle and the sharpness of a logistic distribution over them."""

    levels: Tensor  # [codes], from -LIMIT to LIMIT

    def __init__(self, n_inputs: int, width: int, n_books: int, n_codes: int) -> None:
        super().__init__(n_inputs, width, n_books, n_codes, 2)
        self.register_buffer("levels", level_values(n_codes), persistent=False)

    def scores(self, y: Tensor) -> Tensor:
        middle, sharpness = y[..., :1].clamp(-ONE, ONE), y[..., 1:].clamp(1, LIMIT)
        distance = (self.levels - middle).abs() * sharpness / SHARPNESS
        exact = _HILL[distance.floor().long().clamp(max=len(_HILL) - 1)]
        if not y.requires_grad:
            return -exact
        smooth = 2 * UNITS * (distance / (2 * UNITS)).cosh().log()
        return -(smooth + (exact - smooth).detach())


class EntryModel(LayerModel):
    """Codes are entries without order: outputs are compared with a vector for each."""

    def __init__(self, n_inputs: int, width: int, n_books: int, n_codes: int, n_outputs: int) -> None:
        super().__init__(n_inputs, width, n_books, n_codes, n_outputs)
        self.entries = nn.Parameter(torch.randn(n_books, n_codes, n_outputs) * 0.3 * ONE)

    def scores(self, y: Tensor) -> Tensor:
        scores = torch.einsum("tbn,bcn->tbc", y.clamp(-LIMIT, LIMIT), integers(self.entries)) / ENTRY_SCALE
        return scores if y.requires_grad else scores.floor()


def level_values(n_codes: int) -> Tensor:
    """Integers from -LIMIT to LIMIT for the levels of a codebook, `[codes]`."""
    return (torch.arange(n_codes, dtype=torch.float64) * (2 * LIMIT) / (n_codes - 1) - LIMIT).round().float()


def integers(weight: Tensor, limit: int = LIMIT) -> Tensor:
    """Rounded values of a parameter in training, the parameter itself otherwise."""
    return straight_through(torch.round, weight).clamp(-limit, limit) if weight.requires_grad else weight


def straight_through(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a rounding function, in training with a straight-through gradient."""
    return x + (function(x) - x).detach() if x.requires_grad else function(x)
