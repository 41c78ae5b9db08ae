"""A small causal model of the probability of codes, in integers, so that results are the same on every machine.

For each layer of a stream, a network reads previous frames, without higher layers, and the lower layers of the current
frame. So any number of layers decodes without the others.

Weights and activations are integers in float32, small enough that every sum is exact, for any order of summation,
number of threads or library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from codec.bitstream.header import BitstreamError
from codec.tensors import write_tensors

TOKEN_MODEL = "token_model.safetensors"  # in a codec's checkpoint folder
ONE = 128  # integer for a weight or activation of 1
LIMIT = 127  # largest weight or activation, as int8
BIAS_LIMIT = 2**15 - 1  # as int16
EXACT = 2**24  # float32 represents all integers up to this
UNITS = 16  # of log-likelihoods, per nat
FLOOR = 255  # largest distance in units from the most likely code, so that all are possible


class LayerModel(nn.Module):
    """The network of one layer: two hidden layers of integers in 0 .. `LIMIT`. Parameters are rounded in training."""

    def __init__(self, n_inputs: int, width: int, n_codes: int) -> None:
        super().__init__()
        self.first, self.second, self.out = (
            nn.Parameter(torch.randn(rows, columns) * ONE * columns**-0.5)
            for rows, columns in ((width, n_inputs), (width, width), (n_codes, width))
        )
        self.bias = nn.Parameter(torch.zeros(n_codes))

    def forward(self, x: Tensor) -> Tensor:
        """Integers `[T, inputs]` to log-likelihoods `[T, codes]`, integers in `UNITS`."""
        for weight in (self.first, self.second):
            x = _straight_through(torch.floor, x @ _integers(weight).T / ONE).clamp(0, LIMIT)
        return _straight_through(torch.floor, x @ _integers(self.out).T / ONE) + _integers(self.bias, BIAS_LIMIT)


class TokenModel(nn.Module):
    """The networks of all layers of a codec's tokens.

    Args:
        codebook_sizes: of the codec.
        layer_ends: number of codebooks up to the end of each layer, as in the header of a stream.
        width: of the hidden layers.
        past: number of previous frames to read.
        embedding: width of the embedding of a code.

    Raises:
        ValueError: codebooks of different sizes in one layer.
    """

    def __init__(
        self,
        codebook_sizes: Sequence[int],
        layer_ends: Sequence[int],
        width: int = 256,
        past: int = 3,
        embedding: int = 16,
    ) -> None:
        super().__init__()
        self.codebook_sizes, self.layer_ends, self.past = tuple(codebook_sizes), tuple(layer_ends), past
        for start, end in pairwise((0, *layer_ends)):
            if len(sizes := {*codebook_sizes[start:end]}) > 1:
                raise ValueError(
                    f"layer_ends = {layer_ends}: codebooks {start} to {end - 1} have sizes {sizes}, not one"
                )
        # The last row is for frames before the first.
        self.embeddings = nn.ParameterList(torch.randn(size + 1, embedding) * 0.3 * ONE for size in codebook_sizes)
        self.layers = nn.ModuleList(
            LayerModel((past * end + start) * embedding, width, sum(codebook_sizes[start:end]))
            for start, end in pairwise((0, *layer_ends))
        )

    def forward(self, frames: Tensor, layer: int) -> Tensor:
        """Log-likelihoods of every code of a layer, integers `[T, codebooks, size]` in `UNITS`.

        Args:
            frames: codes `[K, past + T]`: the frames to predict after `past` previous ones, `padding` at the start.
            layer: number of the layer; its own and higher codes of the current frame are not read.
        """
        start, end = (0, *self.layer_ends)[layer : layer + 2]
        n_frames = frames.shape[1] - self.past
        tables = [_integers(table) for table in self.embeddings[:end]]
        read = [tables[k][frames[k, lag : lag + n_frames]] for lag in range(self.past) for k in range(end)]
        read += [tables[k][frames[k, self.past :]] for k in range(start)]
        return self.layers[layer](torch.cat(read, dim=1)).unflatten(1, (end - start, -1))

    def padding(self) -> Tensor:
        """Codes `[K, past]` of frames before the first."""
        return torch.tensor(self.codebook_sizes)[:, None].expand(-1, self.past)

    def integers(self) -> dict[str, Tensor]:
        """Weights as int8 and int16.

        Raises:
            ValueError: sums of the weights are not exact.
        """
        state = {}
        for name, value in self.state_dict().items():
            limit, kind = (BIAS_LIMIT, torch.int16) if name.endswith("bias") else (LIMIT, torch.int8)
            state[name] = value.round().clamp(-limit, limit).to(kind)
            if value.ndim == 2 and int(state[name].int().abs().sum(1).max()) * LIMIT >= EXACT:
                raise ValueError(f"{name}: its sums are not exact in float32; train it again with a smaller width")
        return state

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        state = self.integers()
        sizes = {"codebook_sizes": self.codebook_sizes, "layer_ends": self.layer_ends, "past": (self.past,)}
        metadata = {name: ",".join(map(str, values)) for name, values in sizes.items()}
        write_tensors(path, state, metadata)

    @classmethod
    def load(cls, path: Path) -> TokenModel:
        """Read what `save` wrote.

        Raises:
            BitstreamError: the file is missing, damaged or holds something else.
        """
        try:
            with safe_open(path, framework="pt") as file:
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                sizes, ends, (past,) = (
                    [int(value) for value in file.metadata()[name].split(",")]
                    for name in ("codebook_sizes", "layer_ends", "past")
                )
            width, embedding = len(state["layers.0.second"]), state["embeddings.0"].shape[1]
            model = cls(sizes, ends, width, past, embedding)
            model.load_state_dict({name: t.float() for name, t in state.items()})
        except (OSError, SafetensorError, KeyError, ValueError, RuntimeError, TypeError) as error:
            raise BitstreamError(f"{path}: not a token model, or a damaged one ({error})") from error
        return model.eval().requires_grad_(False)

    def fingerprint(self) -> str:
        """16 hex digits that identify the model."""
        digest = hashlib.sha256(repr((self.codebook_sizes, self.layer_ends, self.past)).encode())
        for name, value in sorted(self.integers().items()):
            digest.update(f"{name} {tuple(value.shape)}".encode() + value.numpy().tobytes())
        return digest.hexdigest()[:16]


def _integers(weight: Tensor, limit: int = LIMIT) -> Tensor:
    """Rounded values of a parameter in training, the parameter itself otherwise."""
    return _straight_through(torch.round, weight).clamp(-limit, limit) if weight.requires_grad else weight


def _straight_through(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a rounding function, in training with a straight-through gradient."""
    return x + (function(x) - x).detach() if x.requires_grad else function(x)
