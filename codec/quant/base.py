"""Interface of quantizers and their settings.

To add a quantizer, write a file with two classes, like `codec.quant.fsq`, and add it to `codec.quant`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from codec.quant.vq import VQ
from codec.settings import Probability, Settings

NO_CODE = -1  # for a codebook that is not used


@dataclass
class Quantized:
    """Output of a quantizer in training."""

    z: Tensor  # [B, T, D], with a straight-through gradient
    codes: Tensor  # [B, K, T] int64
    penalties: dict[str, Tensor]  # scalars by name, losses that keep latents in the range of the quantizer
    n_q: Tensor  # [B] int64, codebooks kept by nested dropout


@dataclass
class QuantizerConfig(Settings, ABC):
    """Base class of the settings of quantizers.

    Raises:
        ValueError: a field is out of range or contradicts another; the message names it.
    """

    kind: str = field(default="", init=False)  # which quantizer
    dropout: Probability = 0.0  # share of training samples that keep only the first 1 to K - 1 codebooks

    @property
    @abstractmethod
    def latent_dim(self) -> int:
        """Width of the latents: semantic channels first, then acoustic ones."""

    @property
    def semantic_dim(self) -> int:
        """Width of the semantic channels, coded by codebook 0 alone; 0 if there is none."""
        return 0

    @property
    def acoustic_dim(self) -> int:
        """Width of the acoustic channels."""
        return self.latent_dim - self.semantic_dim

    @property
    @abstractmethod
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each codebook."""

    @property
    @abstractmethod
    def ordinal(self) -> tuple[bool, ...]:
        """For each codebook, whether its codes are ordered levels rather than entries."""

    @property
    @abstractmethod
    def penalties(self) -> tuple[str, ...]:
        """Names of the penalties in training."""

    @abstractmethod
    def make(self) -> Quantizer:
        """Make the quantizer, randomly initialised."""


class Quantizer(nn.Module, ABC):
    """Latents to codes of K codebooks and back; any prefix of the codebooks decodes.

    In training, `start` initialises VQ codebooks from latents, and `learn` updates them after each step.
    """

    config: QuantizerConfig

    @abstractmethod
    def encode(self, z: Tensor) -> Tensor:
        """Latents `[B, T, D]` -> codes `[B, K, T]` int64, computed in float32."""

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """Codes `[B, n_q, T]` of the first n_q codebooks -> latents `[B, T, D]` float32.

        `NO_CODE` in the last codebooks of a frame, not in the first, means that they are not used.
        """

    @abstractmethod
    def quantize(self, z: Tensor, n_q: Tensor, generator: torch.Generator | None) -> Quantized:
        """Quantize latents `[B, T, D]`, keeping the first `n_q` `[B]` codebooks of each sample, 0 to K.

        In training mode, samples may be quantized differently at random, by `generator` on the device of `z`. Does not
        change the codebooks.
        """

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Quantize latents `[B, T, D]` for training; in eval mode with all codebooks."""
        n_codebooks = len(self.config.codebook_sizes)
        n_q = torch.full((len(z),), n_codebooks, device=z.device)
        if self.training:
            drop, kept = torch.rand(2, len(z), generator=generator, device=z.device, dtype=torch.float32)
            n_q = torch.where(drop < self.config.dropout, 1 + (kept * (n_codebooks - 1)).long(), n_q)
        return self.quantize(z, n_q, generator)

    def start(self, z: Tensor, generator: torch.Generator | None = None) -> None:
        """Initialise VQ codebooks, if any, from latents `[B, T, D]`, many more than entries; may be called again.

        All processes need the same latents and generators with the same seed, so that codebooks stay equal, also in
        `learn`.
        """

    def learn(self, z: Tensor, generator: torch.Generator | None = None) -> int:
        """Update VQ codebooks by latents `[B, T, D]`; returns the number of replaced entries."""
        return 0

    @property
    def books(self) -> list[VQ]:
        """VQ codebooks, in order."""
        return [module for module in self.modules() if isinstance(module, VQ)]

    @property
    def started(self) -> bool:
        """Whether all VQ codebooks are initialised; until then latents are not quantized."""
        return all(bool(book.started) for book in self.books)


def keep_first(n_q: Tensor, n: int) -> Tensor:
    """Mask `[B, n]` bool of the first `n_q` `[B]` of n codebooks."""
    return torch.arange(n, device=n_q.device) < n_q[:, None]


def pass_some(z: Tensor, z_q: Tensor, share: float | Tensor, generator: torch.Generator | None) -> Tensor:
    """`z_q` with a straight-through gradient to `z`, both `[B, T, D]`, for a share of samples; `z` for the others."""
    applies = torch.rand(len(z), 1, 1, generator=generator, device=z.device) < share
    return torch.where(applies, z + (z_q - z).detach(), z)
