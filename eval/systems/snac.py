"""SNAC, by its authors' package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from codec.extras import needs
from eval.systems.pretrained import Network, Pretrained


class Snac(Pretrained):
    """SNAC, whose codebooks have different rates: its codes are no `[K, T]`, so none are kept.

    The weights are published as a pickle; the error about it has the command that converts it.

    Raises:
        ValueError: `n_q` is given: the decoder needs all codebooks.
    """

    family, hub_id, lag = "snac", "hubertsiuzdak/snac_24khz", 0  # its layers are symmetric in time

    def __init__(self, name: str, source: str = "", n_q: int | None = None, device: str = "cpu") -> None:
        if n_q is not None:
            raise ValueError(f"{name}: SNAC decodes only all of its codebooks; leave out :{n_q}")
        super().__init__(name, source, None, device)
        self.codebook_sizes = ()

    def _load(self, folder: Path, config: dict[str, Any]) -> Network:
        with needs("snac", "snac"):
            from snac import SNAC
        model = SNAC(**config)
        model.load_state_dict(load_file(next(folder.glob("model*.safetensors"))))
        return Network(model, model.sampling_rate, model.n_codebooks, model.codebook_size)

    def _encode(self, x: Tensor) -> Iterable[Tensor]:
        return [c[0] for c in self.network.module.encode(x)]

    def _decode(self, codes: list[Tensor]) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)  # its decoder adds noise
            return self.network.module.decode([c[None] for c in codes])
