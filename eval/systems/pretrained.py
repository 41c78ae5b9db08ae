"""Neural codecs with published weights in a folder or the local Hugging Face cache; nothing is downloaded.

Only config.json and safetensors are read, never pickles.
"""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from torch import Tensor

from codec.extras import MissingDependencyError
from eval.digest import digest
from eval.systems.base import SAMPLE_RATE, Coded, System, check_n_q, resample

CONFIG, WEIGHTS, PICKLE = "config.json", "model*.safetensors", "pytorch_model.bin"  # large weights are several files
CONVERT = (
    'python -c "import torch; from safetensors.torch import save_file; '
    f"save_file(torch.load('{PICKLE}', weights_only=True), 'model.safetensors', {{'format': 'pt'}})\""
)


class Network(NamedTuple):
    """A loaded network; all codebooks are of one size."""

    module: Any
    sample_rate: int  # Hz
    n_codebooks: int
    codebook_size: int


class Pretrained(System):
    """A codec with its first `n_q` codebooks.

    Bits are those of the codes, log2(codebook size) each, without entropy coding. The length of the waveform, to which
    the last frame is cut, is not counted.

    Args:
        name: as in tables.
        source: a folder, or the id of a repository in the local Hugging Face cache; empty: `hub_id`.
        n_q: codebooks in use; all if None.
        device: of the network.

    Raises:
        MissingDependencyError: package or weights are not there; the message says how to get them.
        ValueError: the folder holds something else, or the codec has no `n_q` codebooks.
    """

    family: ClassVar[str]  # its name in specs
    hub_id: ClassVar[str]  # the usual weights

    def __init__(self, name: str, source: str = "", n_q: int | None = None, device: str = "cpu") -> None:
        folder = self._folder(source or self.hub_id)
        try:
            self.network = self._load(folder, json.loads((folder / CONFIG).read_text(encoding="utf-8")))
        except MissingDependencyError:
            raise
        except (OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{folder}: {reason}; expected the config and weights of a {self.family}") from error
        self.network.module.eval().requires_grad_(False).to(device)
        self.n_q = check_n_q(name, n_q, self.network.n_codebooks)
        self.name, self.version, self.device = name, digest(folder / CONFIG, *sorted(folder.glob(WEIGHTS))), device
        self.codebook_sizes = (self.network.codebook_size,) * self.n_q

    @abstractmethod
    def _load(self, folder: Path, config: dict[str, Any]) -> Network:
        """Load the network in float32."""

    @abstractmethod
    def _encode(self, x: Tensor) -> Iterable[Tensor]:
        """Encode `[1, 1, L]` as codes `[T]` of each codebook in use."""

    @abstractmethod
    def _decode(self, codes: list[Tensor]) -> Tensor:
        """Decode to about L samples, in whole frames, with any leading axes of length 1."""

    @torch.inference_mode()
    def encode(self, waveform: Tensor) -> Coded:
        x = resample(waveform, SAMPLE_RATE, self.network.sample_rate)
        codes = [c.cpu() for c in self._encode(x[None, None].to(self.device))]
        bits = sum(map(len, codes)) * math.log2(self.network.codebook_size)
        return Coded(bits, (codes, len(x)), torch.stack(codes) if self.codebook_sizes else None)

    @torch.inference_mode()
    def decode(self, coded: Coded) -> Tensor:
        codes, n_samples = coded.data
        output = self._decode([c.to(self.device) for c in codes]).flatten()[:n_samples]
        return resample(output.cpu(), self.network.sample_rate, SAMPLE_RATE)

    def _folder(self, source: str) -> Path:
        """Return the folder of config and weights.

        Raises:
            MissingDependencyError: there are none, or only a pickle.
        """
        folder = Path(source)
        if not folder.is_dir():
            try:
                folder = Path(snapshot_download(source, local_files_only=True))
            except (LocalEntryNotFoundError, HFValidationError) as error:
                hub_id = self.hub_id if isinstance(error, HFValidationError) else source
                raise MissingDependencyError(
                    f"{source}: no such folder, and not in the local Hugging Face cache: hf download {hub_id}, or "
                    f"name a folder with {CONFIG} and model.safetensors: {self.family}=FOLDER"
                ) from error
        if (folder / CONFIG).is_file() and any(folder.glob(WEIGHTS)):
            return folder
        pickled = (folder / PICKLE).is_file()
        remedy = f"convert {PICKLE} once, in there: {CONVERT}" if pickled else f"hf download {self.hub_id}"
        raise MissingDependencyError(f"{folder}: expected {CONFIG} and model.safetensors; {remedy}")
