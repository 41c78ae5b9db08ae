"""What a quantizer does, and what its settings say of it: all that the rest of the library knows of one.

A quantizer is a file with two classes, as `codec.quant.fsq`, and a line in `codec.quant`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from codec.quant.vq import VQ
from codec.settings import coerce, require

NO_CODE = -1  # of a codebook that is not in use


@dataclass
class Quantized:
    """Quantized latents, as a training step needs them."""

    z: Tensor  # [B, T, D], with a straight-through gradient
    codes: Tensor  # [B, K, T] int64
    penalties: dict[str, Tensor]  # by name, scalars that hold latents where they can be quantized
    n_q: Tensor  # [B] int64, codebooks kept by nested dropout


@dataclass
class QuantizerConfig(ABC):
    """The settings that all quantizers have, and what the others are asked for.

    Raises:
        ValueError: a field is out of range or contradicts another; the message names it.
    """

    kind: str = field(default="", init=False)  # which quantizer
    dropout: float = 0.0  # share of training samples that keep only the first n codebooks, of 1 to K - 1

    def __post_init__(self) -> None:
        coerce(self)
        require(0 <= self.dropout <= 1, "dropout", self.dropout, "a probability")

    @property
    @abstractmethod
    def latent_dim(self) -> int:
        """Width of the latents: semantic channels first, then acoustic ones."""

    @property
    def semantic_dim(self) -> int:
        """Width of the semantic channels, which codebook 0 codes alone; 0 if no codebook is semantic."""
        return 0

    @property
    def acoustic_dim(self) -> int:
        """Width of the acoustic channels, which carry the sound; a fresh codec starts with its waveform in them."""
        return self.latent_dim - self.semantic_dim

    @property
    @abstractmethod
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each codebook."""

    @property
    @abstractmethod
    def ordinal(self) -> tuple[bool, ...]:
        """Of each codebook, whether its codes are levels in order; else they are entries, with nothing between them."""

    @property
    @abstractmethod
    def penalties(self) -> tuple[str, ...]:
        """Names of the penalties that training gives."""

    @abstractmethod
    def make(self) -> Quantizer:
        """The quantizer with these settings, randomly initialised."""


class Quantizer(nn.Module, ABC):
    """Latents to codes of K codebooks and back; any prefix of the codebooks decodes.

    In training, `start` places the codebooks of entries on latents, and `learn` moves them after each step.
    """

    config: QuantizerConfig

    @abstractmethod
    def encode(self, z: Tensor) -> Tensor:
        """Latents `[B, T, D]` -> codes `[B, K, T]` int64, computed in float32."""

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """Codes `[B, n_q, T]` of the first n_q codebooks -> latents `[B, T, D]` float32.

        Any frame may have `NO_CODE` in its last codebooks, but for the first, as if they were not there.
        """

    @abstractmethod
    def quantize(self, z: Tensor, n_q: Tensor, generator: torch.Generator | None) -> Quantized:
        """Quantize latents `[B, T, D]`, keeping the first `n_q` `[B]` codebooks of each sample, 0 to K.

        In training mode, samples may be treated otherwise than in use, as `generator` draws (on the device of `z`).
        Nothing is changed here.
        """

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Quantize latents `[B, T, D]` for training; in eval mode everything is quantized and kept."""
        n_codebooks = len(self.config.codebook_sizes)
        n_q = torch.full((len(z),), n_codebooks, device=z.device)
        if self.training:
            drop, kept = torch.rand(2, len(z), generator=generator, device=z.device, dtype=torch.float32)
            n_q = torch.where(drop < self.config.dropout, 1 + (kept * (n_codebooks - 1)).long(), n_q)
        return self.quantize(z, n_q, generator)

    def start(self, z: Tensor, generator: torch.Generator | None = None) -> None:
        """Place the codebooks of entries, if any, on latents `[B, T, D]`, many more than there are entries; also anew.

        With several processes, give all of them the latents of all, and generators of one seed: the codebooks stay
        equal. The same holds for `learn`.
        """

    def learn(self, z: Tensor, generator: torch.Generator | None = None) -> int:
        """Move the codebooks of entries towards latents `[B, T, D]`; returns how many entries were replaced."""
        return 0

    @property
    def books(self) -> list[VQ]:
        """The codebooks of entries, in order."""
        return [module for module in self.modules() if isinstance(module, VQ)]

    @property
    def started(self) -> bool:
        """Whether all codebooks of entries are placed; until then latents pass them as they are."""
        return all(bool(book.started) for book in self.books)


def keep_first(n_q: Tensor, n: int) -> Tensor:
    """`[B, n]` bool: which of n codebooks are among the first `n_q` `[B]`."""
    return torch.arange(n, device=n_q.device) < n_q[:, None]


def pass_some(z: Tensor, z_q: Tensor, share: float | Tensor, generator: torch.Generator | None) -> Tensor:
    """`z_q` with a straight-through gradient to `z`, both `[B, T, D]`, for a share of samples; `z` for the others."""
    applies = torch.rand(len(z), 1, 1, generator=generator, device=z.device) < share
    return torch.where(applies, z + (z_q - z).detach(), z)
