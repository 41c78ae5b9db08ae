"""Residual vector quantization: each codebook codes the residual of those before (SoundStream, section III-C)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from codec.quant.base import NO_CODE, Quantized, Quantizer, QuantizerConfig, keep_first, pass_some
from codec.quant.vq import VQ, VQConfig
from codec.settings import AtLeast2, PositiveInt, Probability


@dataclass
class ResidualVQConfig(VQConfig, QuantizerConfig):
    """`n_q` VQ codebooks, as in EnCodec and Mimi; the defaults give 80 bits per frame."""

    kind: str = field(default="residual_vq", init=False)
    n_q: PositiveInt = 8  # codebooks
    codebook_size: AtLeast2 = 1024
    dim: PositiveInt = 128
    quantize_prob: Probability = 1.0

    @property
    def latent_dim(self) -> int:
        return self.dim

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        return (self.codebook_size,) * self.n_q

    @property
    def ordinal(self) -> tuple[bool, ...]:
        return (False,) * self.n_q

    @property
    def penalties(self) -> tuple[str, ...]:
        return ("commit",)

    def make(self) -> ResidualVQ:
        return ResidualVQ(self)


class ResidualVQ(Quantizer):
    """The sum of one entry of each codebook; codebooks without a code add nothing."""

    config: ResidualVQConfig

    def __init__(self, config: ResidualVQConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(VQ(config) for _ in range(config.n_q))

    def encode(self, z: Tensor) -> Tensor:
        residual, codes = z.float(), []
        for book in self.books:
            codes.append(book.encode(residual))
            residual = residual - book.decode(codes[-1])
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        books, (batch_size, n_q, n_frames) = self.books, codes.shape
        z = books[0].embedding.new_zeros(batch_size, n_frames, self.config.latent_dim)
        is_used = (codes != NO_CODE)[..., None]
        codes = codes.clamp(min=0)
        for k in range(n_q):
            z = z + books[k].decode(codes[:, k]) * is_used[:, k]
        return z

    def quantize(self, z: Tensor, n_q: Tensor, generator: torch.Generator | None) -> Quantized:
        """The penalty `commit` is the squared distance of each codebook's input to its entry, averaged over codebooks.

        Codebooks that a sample does not keep count as 0.
        """
        z = z.float()
        residual, entries, codes = z, torch.zeros_like(z), []
        commit = z.new_zeros(())
        kept = keep_first(n_q, len(self.layers))
        for k, book in enumerate(self.books):
            codes.append(book.encode(residual.detach()))
            entry = book.decode(codes[-1])
            residual = residual - entry
            commit = commit + (residual.square().sum(-1).mean(1) * kept[:, k]).mean()
            entries = entries + entry * kept[:, k, None, None]
        started = self.books[0].started
        share = self.config.quantize_prob * started if self.training else 1.0
        commit = commit / len(self.layers) * started
        return Quantized(pass_some(z, entries, share, generator), torch.stack(codes, dim=1), {"commit": commit}, n_q)

    def start(self, z: Tensor, generator: torch.Generator | None = None) -> None:
        residual = z.detach().float().flatten(0, 1)
        for book in self.books:
            book.start(residual, generator)
            residual = residual - book.decode(book.encode(residual))

    def learn(self, z: Tensor, generator: torch.Generator | None = None) -> int:
        residual, n_revived = z.detach().float().flatten(0, 1), 0
        for book in self.books:
            codes = book.encode(residual)
            rest = residual - book.decode(codes)
            n_revived += book.update(residual, codes, generator)
            residual = rest
        return n_revived
