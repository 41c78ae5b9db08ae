"""Initialise a codec as a linear transform codec, so that it already codes speech before training.

With LayerScale near 0 the blocks do little at first, so the network is nearly a chain of convolutions. With random
weights, training spends its first hours on making that chain invertible. Here, every convolution of the encoder keeps
the principal components of its newest inputs, measured on speech, and the decoder mirrors it with the transposed
matrices: a Karhunen-Loeve transform in stages. The strongest components become the acoustic channels.

With a spectral front end and a source-filter head, the channels code the principal components of the head's controls,
predicted from the encoder's features by linear regression.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

from codec.decoder import Decoder
from codec.encoder import Encoder
from codec.model import Codec
from codec.nn.conv import CausalConv1d, CausalConvTranspose1d
from codec.nn.source_filter import Controls, SourceFilter
from codec.nn.spectrum import WINDOWS, SpectrumFront
from codec.nn.state import Span

# Each frequency is scaled by its level in speech to the power of -FLATTEN, and back at the output: with 0, only the
# loudest harmonics would be strong components, with 1 mostly noise.
FLATTEN = 0.5
# Standard deviations of initial latents: tanh is nearly linear for the acoustic ones, and the commitment loss, a sum
# over 256 semantic ones, does not dominate.
ACOUSTIC_STD, SEMANTIC_STD = 0.6, 0.1
# Weights of the controls of a head, each scaled to deviation 1.
PERIODICITY_WEIGHT, PITCH_WEIGHT = 0.3, 2.5
CORRELATION_WEIGHT = 0.5  # weight of features that are not log powers
RIDGE = 1e-3  # regularisation of the regression, as a share of the power of the features
_REMEDY = "check the recordings of data.train, or start from random weights with model.init=random"


@torch.no_grad()
def start_as_transform(codec: Codec, waveform: Tensor) -> None:
    """Initialise, in place, the convolutions of a codec with head `patches` from speech `[B, L]`, some hundred frames.

    Taps of older inputs become 0, as do the decoder's weights of semantic channels; the encoder's semantic rows stay
    random.

    Raises:
        ValueError: the clips are silent or too few.
    """
    _require_sound(waveform)
    down, up = _convolutions(codec.encoder), _convolutions(codec.decoder)[::-1]
    x = rearrange(waveform, "b (t p) -> b t p", p=codec.config.patch_size)
    x = x[x.square().mean(dim=(1, 2)) > 0]
    x, stages = _narrow(x, _shapes(down), _flattening(x))
    for inwards, outwards, (narrow, widen) in zip(down, up, stages, strict=False):
        _set_newest(inwards, narrow)
        _set_newest(outwards, widen)
    _split(codec, down[-1], up[-1], x)
    _require_finite(codec)


@torch.no_grad()
def start_as_vocoder(codec: Codec, waveform: Tensor, controls: Controls) -> None:
    """Initialise, in place, the means, deviations and convolutions of a codec with front end and head from speech.

    Args:
        codec: with front `spectrum` and head `source_filter`.
        waveform: `[B, L]`, at least some hundred frames.
        controls: of the waveform, see `train.losses.controls`.

    Raises:
        ValueError: the codec has another front or head, or the clips are silent or too few.
    """
    encoder, decoder = codec.encoder, codec.decoder
    front, head = encoder.front, decoder.head
    if front is None or head is None:
        raise ValueError("a start as a vocoder needs front = spectrum and head = source_filter; or give init=random")
    _require_sound(waveform)
    patches = rearrange(waveform, "b (t p) -> b t p", p=codec.config.patch_size)
    state = encoder.init_state(len(waveform))
    features, _ = front(patches, state[-1], Span(state[0], None))
    _standardise(front, features * front.deviation + front.mean)
    features, _ = front(patches, state[-1], Span(state[0], None))
    target = torch.cat([controls.gain, controls.periodicity], dim=2)
    _standardise(head, target)
    target = (target - head.mean) / head.deviation
    decoder.pitch.mean.copy_(controls.log_f0.mean())
    pitch = controls.log_f0 - decoder.pitch.mean
    pitch_weight = PITCH_WEIGHT / pitch.std()

    weight = features.new_full((features.shape[2],), CORRELATION_WEIGHT)
    weight[: sum(n for _, n in WINDOWS)] = 1
    down, up = _convolutions(encoder), _convolutions(decoder)[::-1]
    x, stages = _narrow(features, _shapes(down), torch.diag(weight))
    for layer, (narrow, _) in zip(down, stages, strict=False):
        _set_newest(layer, narrow)
    weight = torch.ones(head.in_dim)
    weight[-controls.periodicity.shape[2] :] = PERIODICITY_WEIGHT
    y, stages = _narrow(target, [(_stride(layer), layer.weight.shape[-1]) for layer in up[:-1]], torch.diag(weight))
    for layer, (_, widen) in zip(up, stages, strict=False):
        _set_newest(layer, widen)
    y = torch.cat([y, pitch_weight * pitch.unflatten(1, (y.shape[1], -1))], dim=2).float()  # [B, T, D + patches]

    x, y = x.flatten(0, 1), y.flatten(0, 1)
    quantizer = codec.config.quantizer
    basis = principal_components(y, quantizer.acoustic_dim)  # [k, D + patches]
    scale = ACOUSTIC_STD / (y @ basis.T).std(0).clamp(min=1e-6)
    gram = (x.T @ x).double()
    gram.diagonal().add_(RIDGE * gram.trace() / len(gram))
    regression = torch.linalg.solve(gram, (x.T @ (y @ basis.T * scale)).double()).T.float()  # [k, D]
    n, pitch_rows = quantizer.semantic_dim, decoder.pitch.linear.weight
    last_weight = down[-1].weight
    last_weight[:, :-1] = 0
    _scale_rows(last_weight[:n, -1], x)
    last_weight[n:, -1] = regression
    envelope, pitch = (basis / scale[:, None]).T.split([y.shape[1] - len(pitch_rows), len(pitch_rows)])
    up[-1].weight.zero_()
    up[-1].weight.flatten(0, -3)[:, -1, n:] = envelope
    pitch_rows.zero_()
    pitch_rows[:, n:] = pitch / pitch_weight
    _require_finite(codec)


def _require_sound(waveform: Tensor) -> None:
    n_silent = int((waveform == 0).all(1).sum())
    if n_silent == len(waveform):
        raise ValueError(f"waveform: all {n_silent} clips to start from are silent; {_REMEDY}")


def _require_finite(codec: Codec) -> None:
    if not all(bool(torch.isfinite(tensor).all()) for tensor in codec.state_dict().values()):
        raise ValueError(f"waveform: the clips to start from are too few, or hold no speech; {_REMEDY}")


def _convolutions(part: Encoder | Decoder) -> list[CausalConv1d | CausalConvTranspose1d]:
    return [layer for layer in part.stack.layers if isinstance(layer, CausalConv1d | CausalConvTranspose1d)]


def _standardise(layer: SpectrumFront | SourceFilter, x: Tensor) -> None:
    """Set means and deviations of a front end or head to those of `x` `[..., D]`."""
    layer.mean.copy_(x.flatten(0, -2).mean(0))
    layer.deviation.copy_(x.flatten(0, -2).std(0).clamp(min=1e-3))


def _stride(layer: CausalConv1d | CausalConvTranspose1d) -> int:
    return layer.stride if isinstance(layer, CausalConv1d) else len(layer.weight)


def _shapes(down: Sequence[CausalConv1d | CausalConvTranspose1d]) -> list[tuple[int, int]]:
    """Strides and output widths of an encoder's convolutions, without the last."""
    return [(_stride(layer), len(layer.weight)) for layer in down[:-1]]


def _narrow(
    x: Tensor, shapes: Sequence[tuple[int, int]], scaling: Tensor
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Reduce `x` `[B, T, D]`, first multiplied by `scaling`, to principal components in stages of strides and widths.

    Returns the result, and for each stage the matrix `[D', stride * D]` and its reverse.
    """
    before, after = scaling, torch.linalg.inv(scaling)
    matrices: list[tuple[Tensor, Tensor]] = []
    for stride, dim in shapes:
        x = x.unflatten(1, (-1, stride)).flatten(2)  # [B, T / stride, stride * D]
        before, after = (before, after) if not matrices else (torch.eye(x.shape[2]),) * 2
        basis = principal_components(x @ before.T, dim)
        matrices.append((basis @ before, after @ basis.T))
        x = x @ matrices[-1][0].T
    return x, matrices


def principal_components(x: Tensor, n: int) -> Tensor:
    """The n principal components `[n, D]` of `x` `[..., D]`, strongest first; rows beyond D are 0."""
    x = x.flatten(0, -2).double()
    _, vectors = torch.linalg.eigh(x.T @ x / len(x))  # weakest first
    basis = vectors.flip(1)[:, :n].T.float()
    return torch.cat([basis, basis.new_zeros(n - len(basis), basis.shape[1])])


def _flattening(x: Tensor) -> Tensor:
    """Matrix `[P, P]` of the cosine transform of patches `[B, T, P]`, each frequency scaled by its level."""
    n = x.shape[2]
    k = torch.arange(n, dtype=torch.float64)
    cosines = torch.cos(torch.pi / n * (k + 0.5) * k[:, None]) * (2 / n) ** 0.5
    cosines[0] /= 2**0.5
    level = (x.double() @ cosines.T).square().mean(dim=(0, 1)).sqrt()
    level = level.clamp(min=1e-4 * level.max()) / level.square().mean().sqrt()
    return (level[:, None] ** -FLATTEN * cosines).float()


def _set_newest(layer: CausalConv1d | CausalConvTranspose1d, matrix: Tensor) -> None:
    """Make a layer multiply its `stride` newest inputs by `matrix`."""
    layer.weight.zero_()
    if isinstance(layer, CausalConv1d):  # [out, taps, in]
        layer.weight[:, -layer.stride :] = rearrange(matrix, "o (s i) -> o s i", s=layer.stride)
    else:  # [stride, out, taps, in]
        layer.weight[:, :, -1] = rearrange(matrix, "(s o) i -> s o i", s=len(layer.weight))


def _split(
    codec: Codec, down: CausalConv1d | CausalConvTranspose1d, up: CausalConv1d | CausalConvTranspose1d, x: Tensor
) -> None:
    """Set the last encoder and first decoder convolution: acoustic channels take the strongest of `x` `[B, T, D]`."""
    quantizer = codec.config.quantizer
    n = quantizer.semantic_dim
    std = x.flatten(0, 1).std(0)
    k = min(quantizer.acoustic_dim, int((std > 0).sum()))
    scale = torch.diag(ACOUSTIC_STD / std[:k])
    down.weight[:, :-1] = 0
    down.weight[n:] = 0
    _scale_rows(down.weight[:n, -1], x)
    up.weight.zero_()
    down.weight[n : n + k, -1, :k] = scale
    up.weight[:k, -1, n : n + k] = torch.linalg.inv(scale)


def _scale_rows(rows: Tensor, x: Tensor) -> None:
    """Scale `rows` `[n, D]` so that the semantic channels of `x` `[..., D]` have deviation SEMANTIC_STD."""
    if len(rows):
        rows *= SEMANTIC_STD / (x @ rows.T).std()
