"""A fresh codec that already codes speech: its linear path starts as a transform codec.

With LayerScale near 0 the blocks do little at first, and what is left of the network is a chain of convolutions. With
random weights that chain garbles the waveform, and training spends its first hours on undoing it. Here every
convolution of the encoder keeps the principal components of its newest inputs, measured on speech, and the decoder
mirrors it with the transposed matrices: a Karhunen-Loeve transform in stages. The strongest components become the
acoustic channels, so the waveform of the lowest harmonics passes from the first step on.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from codec.model import Codec
from codec.nn.conv import CausalConv1d, CausalConvTranspose1d

# Each frequency is amplified by its level in speech to the power of -FLATTEN, and the reverse at the output: 0 would
# leave nothing but the loudest harmonics among the strongest components, 1 nothing but noise.
FLATTEN = 0.5
# Standard deviations of fresh latents. tanh is still nearly linear for acoustic ones; 256 semantic ones then weigh less
# together, and the commitment loss, a sum over them, does not drown the others.
ACOUSTIC_STD, SEMANTIC_STD = 0.6, 0.1


@torch.no_grad()
def start_as_transform(codec: Codec, waveform: Tensor) -> None:
    """Set the convolutions of a fresh codec, in place, by speech `[B, L]` of at least some hundred frames.

    Taps that see older inputs start at 0, as do the decoder's weights of semantic channels; the encoder's
    semantic rows stay random. Everything is learned from here on.
    """
    encoder = [layer for layer in codec.encoder.stack.layers if isinstance(layer, CausalConv1d)]
    decoder = [
        layer for layer in codec.decoder.stack.layers if isinstance(layer, CausalConv1d | CausalConvTranspose1d)
    ][::-1]
    x = rearrange(waveform, "b (t p) -> b t p", p=codec.config.patch_size)
    x = x[x.square().mean(dim=(1, 2)) > 0]
    flat = _flattening(x)  # [P, P]
    for i, (down, up) in enumerate(zip(encoder[:-1], decoder[:-1], strict=True)):
        x = x.unflatten(1, (-1, down.stride)).flatten(2)  # [B, T / stride, stride * D]
        before, after = (flat, torch.linalg.inv(flat)) if i == 0 else (torch.eye(x.shape[2]),) * 2
        basis = principal_components(x @ before.T, len(down.weight))  # [D', stride * D]
        _set_newest(down, basis @ before)
        _set_newest(up, after @ basis.T)
        x = x @ (basis @ before).T
    _split(codec, encoder[-1], decoder[-1], x)


def principal_components(x: Tensor, n: int) -> Tensor:
    """Orthonormal rows `[n, D]`, strongest first, that keep most of `x` `[..., D]`; rows beyond D are 0."""
    x = x.flatten(0, -2).double()
    _, vectors = torch.linalg.eigh(x.T @ x / len(x))  # weakest first
    basis = vectors.flip(1)[:, :n].T.float()
    return torch.cat([basis, basis.new_zeros(n - len(basis), basis.shape[1])])


def _flattening(x: Tensor) -> Tensor:
    """`[P, P]`: patches `[B, T, P]` to their cosine transform, each frequency scaled by its level."""
    n = x.shape[2]
    k = torch.arange(n, dtype=torch.float64)
    cosines = torch.cos(torch.pi / n * (k + 0.5) * k[:, None]) * (2 / n) ** 0.5
    cosines[0] /= 2**0.5
    level = (x.double() @ cosines.T).square().mean(dim=(0, 1)).sqrt()
    level = level.clamp(min=1e-4 * level.max()) / level.square().mean().sqrt()
    return (level[:, None] ** -FLATTEN * cosines).float()


def _set_newest(layer: CausalConv1d | CausalConvTranspose1d, matrix: Tensor) -> None:
    """Make a layer the product with `matrix` of its newest inputs, as many as its stride."""
    layer.weight.zero_()
    if isinstance(layer, CausalConv1d):  # [out, taps, in]
        layer.weight[:, -layer.stride :] = rearrange(matrix, "o (s i) -> o s i", s=layer.stride)
    else:  # [stride, out, taps, in]
        layer.weight[:, :, -1] = rearrange(matrix, "(s o) i -> s o i", s=len(layer.weight))


def _split(codec: Codec, down: CausalConv1d, up: CausalConv1d | CausalConvTranspose1d, x: Tensor) -> None:
    """The innermost convolutions, for `x` `[B, T, D]` sorted by strength: acoustic channels take the strongest."""
    n = codec.config.semantic_dim
    std = x.flatten(0, 1).std(0)
    k = min(codec.config.acoustic_dim, int((std > 0).sum()))
    scale = torch.diag(ACOUSTIC_STD / std[:k])
    down.weight[:, :-1] = 0
    down.weight[n:] = 0
    down.weight[:n] *= SEMANTIC_STD / (x @ down.weight[:n, -1].T).std()
    up.weight.zero_()
    down.weight[n : n + k, -1, :k] = scale
    up.weight[:k, -1, n : n + k] = torch.linalg.inv(scale)
