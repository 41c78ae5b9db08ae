"""A semantic codebook of entries beside an acoustic quantizer, as in Voxtral (levels) and Mimi (residual entries)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from codec.quant.base import Quantized, Quantizer, QuantizerConfig, pass_some
from codec.quant.fsq import FSQConfig
from codec.quant.residual import ResidualVQConfig
from codec.quant.vq import VQ, VQConfig
from codec.settings import require


@dataclass
class SplitConfig(QuantizerConfig):
    """A semantic codebook and an acoustic quantizer on separate channels; the defaults are those of Voxtral."""

    kind: str = field(default="split", init=False)
    semantic: VQConfig = field(default_factory=VQConfig)
    acoustic: FSQConfig | ResidualVQConfig = field(default_factory=FSQConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        dropout = self.acoustic.dropout
        require(dropout == 0, "acoustic.dropout", dropout, "0: dropout of the whole quantizer drops codebooks of both")

    @property
    def latent_dim(self) -> int:
        return self.semantic.dim + self.acoustic.latent_dim

    @property
    def semantic_dim(self) -> int:
        return self.semantic.dim

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        return (self.semantic.codebook_size, *self.acoustic.codebook_sizes)

    @property
    def ordinal(self) -> tuple[bool, ...]:
        return (False, *self.acoustic.ordinal)

    @property
    def penalties(self) -> tuple[str, ...]:
        return ("commit", *(name for name in self.acoustic.penalties if name != "commit"))

    def make(self) -> SplitQuantizer:
        return SplitQuantizer(self)


class SplitQuantizer(Quantizer):
    """Semantic channels first, then acoustic ones; codebook 0 is the semantic one."""

    config: SplitConfig

    def __init__(self, config: SplitConfig) -> None:
        super().__init__()
        self.config = config
        self.semantic = VQ(config.semantic)
        self.acoustic = config.acoustic.make()

    def _split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        semantic, acoustic = z.float().split((self.config.semantic_dim, self.config.acoustic_dim), dim=2)
        return semantic, acoustic

    def encode(self, z: Tensor) -> Tensor:
        semantic, acoustic = self._split(z)
        return torch.cat([self.semantic.encode(semantic)[:, None], self.acoustic.encode(acoustic)], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        return torch.cat([self.semantic.decode(codes[:, 0]), self.acoustic.decode(codes[:, 1:])], dim=2)

    def quantize(self, z: Tensor, n_q: Tensor, generator: torch.Generator | None) -> Quantized:
        """Penalties are those of the acoustic quantizer, and `commit` with the semantic squared distance added.

        In training, the VQ applies to a random share of samples, and to none before it is initialised.
        """
        semantic, acoustic = self._split(z)
        codes = self.semantic.encode(semantic.detach())
        entry = self.semantic.decode(codes)
        commit = (semantic - entry).square().sum(-1).mean() * self.semantic.started
        share = self.config.semantic.quantize_prob * self.semantic.started if self.training else 1.0
        semantic = pass_some(semantic, entry, share, generator)
        rest = self.acoustic.quantize(acoustic, n_q - 1, generator)
        penalties = rest.penalties | {"commit": commit + rest.penalties.get("commit", 0)}
        codes = torch.cat([codes[:, None], rest.codes], dim=1)
        return Quantized(torch.cat([semantic, rest.z], dim=2), codes, penalties, n_q)

    def start(self, z: Tensor, generator: torch.Generator | None = None) -> None:
        semantic, acoustic = self._split(z.detach())
        self.semantic.start(semantic.flatten(0, 1), generator)
        self.acoustic.start(acoustic, generator)

    def learn(self, z: Tensor, generator: torch.Generator | None = None) -> int:
        semantic, acoustic = self._split(z.detach())
        semantic = semantic.flatten(0, 1)
        n_revived = self.semantic.update(semantic, self.semantic.encode(semantic), generator)
        return n_revived + self.acoustic.learn(acoustic, generator)
