"""A small causal model of the probability of codes, in integers, so that results are the same on every machine.

For each layer of a stream, a network reads previous frames, without higher layers, and the lower layers of the current
frame. So any number of layers decodes without the others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from codec.bitstream.header import BitstreamError
from codec.bitstream.networks import (
    BIAS_LIMIT,
    EXACT,
    LIMIT,
    ONE,
    UNITS,
    EntryModel,
    LevelModel,
    integers,
    level_values,
)
from codec.tensors import write_tensors

TOKEN_MODEL = "token_model.safetensors"  # in a codec's checkpoint folder


class TokenModel(nn.Module):
    """The networks of all layers of a codec's tokens.

    Args:
        codebook_sizes: of the codec.
        ordinal: whether the codes of each codebook are levels, as in `Quantizer.ordinal`.
        layer_ends: number of codebooks up to the end of each layer, as in the header of a stream.
        width: of the hidden layers.
        past: number of previous frames to read.
        embedding: width of the embedding of a code that is no level.

    Raises:
        ValueError: codebooks of different sizes or kinds in one layer.
    """

    def __init__(
        self,
        codebook_sizes: Sequence[int],
        ordinal: Sequence[bool],
        layer_ends: Sequence[int],
        width: int = 192,
        past: int = 2,
        embedding: int = 32,
    ) -> None:
        super().__init__()
        self.codebook_sizes, self.ordinal = tuple(codebook_sizes), tuple(map(bool, ordinal))
        self.layer_ends, self.past = tuple(layer_ends), past
        books = list(zip(self.codebook_sizes, self.ordinal, strict=True))
        # The last row is for frames before the first.
        self.embeddings = nn.ParameterList(_table(*book, embedding) for book in books)
        columns = [table.shape[1] for table in self.embeddings]
        self.layers = nn.ModuleList()
        for start, end in pairwise((0, *layer_ends)):
            if len(kinds := {*books[start:end]}) > 1:
                raise ValueError(f"layer_ends = {layer_ends}: codebooks {start} to {end - 1} are of several {kinds}")
            ((size, is_ordinal),) = kinds
            shape = past * sum(columns[:end]) + sum(columns[:start]), width, end - start, size
            self.layers.append(LevelModel(*shape) if is_ordinal else EntryModel(*shape, embedding))

    def forward(self, frames: Tensor, layer: int) -> Tensor:
        """Log-likelihoods of every code of a layer, integers `[T, codebooks, size]` in `UNITS`.

        Args:
            frames: codes `[K, past + T]`: the frames to predict after `past` previous ones, `padding` at the start.
            layer: number of the layer; its own and higher codes of the current frame are not read.
        """
        scores: Tensor = self.layers[layer](self.inputs(frames, layer))
        return scores

    def inputs(self, frames: Tensor, layer: int) -> Tensor:
        """What the network of a layer reads, integers `[T, inputs]`; arguments as in `forward`."""
        start, end = (0, *self.layer_ends)[layer : layer + 2]
        n_frames = frames.shape[1] - self.past
        tables = [integers(table) for table in self.embeddings[:end]]
        read = [tables[k][frames[k, lag : lag + n_frames]] for lag in range(self.past) for k in range(end)]
        read += [tables[k][frames[k, self.past :]] for k in range(start)]
        return torch.cat(read, dim=1)

    def bits(self, frames: Tensor, layer: int) -> Tensor:
        """Bits of each code of a layer, `[codebooks, T]` float32; arguments as in `forward`.

        Frames of `padding` among the T have bits without meaning.
        """
        start, end = (0, *self.layer_ends)[layer : layer + 2]
        bits = (self(frames, layer) / UNITS).log_softmax(-1) / -math.log(2)  # [T, codebooks, size]
        codes = frames[start:end, self.past :].T.clamp(max=bits.shape[-1] - 1)
        return bits.gather(-1, codes[..., None])[..., 0].T

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
            if int(state[name].int().abs().sum(-1).max()) * LIMIT >= EXACT and not name.endswith("bias"):
                raise ValueError(f"{name}: its sums are not exact in float32; train it again with a smaller width")
        return state

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        state = self.integers()
        shape = {"sizes": self.codebook_sizes, "ordinal": self.ordinal, "ends": self.layer_ends, "past": (self.past,)}
        metadata = {name: ",".join(str(int(value)) for value in values) for name, values in shape.items()}
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
                sizes, ordinal, ends, (past,) = (
                    [int(value) for value in file.metadata()[name].split(",")]
                    for name in ("sizes", "ordinal", "ends", "past")
                )
            width, embedding = (
                len(state["layers.0.second"]),
                max(state[f"embeddings.{k}"].shape[1] for k in range(len(sizes))),
            )
            model = cls(sizes, [bool(value) for value in ordinal], ends, width, past, embedding)
            model.load_state_dict({name: t.float() for name, t in state.items()})
        except (OSError, SafetensorError, KeyError, ValueError, RuntimeError, TypeError) as error:
            raise BitstreamError(f"{path}: not a token model, or a damaged one ({error})") from error
        return model.eval().requires_grad_(False)

    def fingerprint(self) -> str:
        """16 hex digits that identify the model."""
        digest = hashlib.sha256(repr((self.codebook_sizes, self.ordinal, self.layer_ends, self.past)).encode())
        for name, value in sorted(self.integers().items()):
            digest.update(f"{name} {tuple(value.shape)}".encode() + value.numpy().tobytes())
        return digest.hexdigest()[:16]


def _table(size: int, ordinal: bool, width: int) -> nn.Parameter:
    """What a network reads for each code, `[size + 1, columns]`: the value of a level, or a vector to be learned."""
    if ordinal:
        return nn.Parameter(torch.cat([level_values(size), torch.zeros(1)])[:, None], requires_grad=False)
    return nn.Parameter(torch.randn(size + 1, width) * 0.3 * ONE)
