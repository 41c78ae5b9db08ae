"""Spectra of real samples: by the fast transform, or by a product in graphs, as ONNX Runtime's transform is slow."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def fourier_matrix(size: int, n_fft: int) -> Tensor:
    """`[size, F * 2]` float32: of `size` real samples, filled up to `n_fft` with zeros, to real and imaginary parts."""
    spectra = np.fft.rfft(np.eye(size, n_fft))
    return torch.from_numpy(np.stack([spectra.real, spectra.imag], axis=-1).reshape(size, -1)).float()


def spectrum(x: Tensor, matrix: Tensor) -> Tensor:
    """Samples `[..., size]` to `[..., F, 2]`; `matrix` is of `fourier_matrix`."""
    if torch.compiler.is_compiling():
        return (x @ matrix).unflatten(-1, (-1, 2))
    return torch.view_as_real(torch.fft.rfft(x, matrix.shape[1] - 2))
