"""Neural codecs with published weights: EnCodec, DAC and Mimi through transformers, and what every such codec needs.

Weights come from a folder or from the local Hugging Face cache; a run never downloads. Only config.json and
safetensors are read.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from torch import Tensor

from eval.baselines.base import SAMPLE_RATE, Coded, resample
from eval.metrics.base import MissingBackendError

CONFIG, WEIGHTS = "config.json", "model*.safetensors"  # large models come in several files


class Pretrained(ABC):
    """A codec with its first `n_q` codebooks.

    Bits are those of the codes, frames x log2(codebook sizes), before any entropy coding. The length of the
    waveform is not counted, as a container would state it. Codes are `[K, T]`, where all codebooks have one rate.

    Args:
        name: as in tables.
        source: a folder with config.json and model.safetensors, or the id of a repository in the local
            Hugging Face cache; `hub_id` if empty.
        n_q: codebooks in use; all if None.
        device: of the network.

    Raises:
        MissingBackendError: the package or the weights are not there; the message says where to get them.
        ValueError: the folder holds something else, or the codec has no `n_q` codebooks.
    """

    hub_id: ClassVar[str]  # the usual weights
    lag: ClassVar[int | None]
    sample_rate: int  # Hz, of the network

    def __init__(self, name: str, source: str = "", n_q: int | None = None, device: str = "cpu") -> None:
        folder = _folder(name, source or self.hub_id)
        try:
            self.network: Any = self._load(folder, json.loads((folder / CONFIG).read_text(encoding="utf-8")))
        except MissingBackendError:
            raise
        except (OSError, ValueError, RuntimeError, TypeError, KeyError, SafetensorError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"{name}: {folder}: {reason}; expected the weights of {self.hub_id} or alike") from error
        self.network.eval().requires_grad_(False).to(device)
        sizes = self._sizes()
        self.n_q = len(sizes) if n_q is None else n_q
        if not 1 <= self.n_q <= len(sizes):
            raise ValueError(f"{name}: n_q = {n_q}; it has 1 to {len(sizes)} codebooks")
        self.name, self.version, self.device = name, _digest(folder), device
        self.codebook_sizes = sizes[: self.n_q]

    @abstractmethod
    def _load(self, folder: Path, config: dict[str, Any]) -> torch.nn.Module:
        """The network in float32, `sample_rate` set."""

    @abstractmethod
    def _sizes(self) -> tuple[int, ...]:
        """Entries of each codebook of the network."""

    @abstractmethod
    def _encode(self, x: Tensor) -> Sequence[Tensor]:
        """`[1, 1, L]` as codes `[T]` of each codebook in use."""

    @abstractmethod
    def _decode(self, codes: Sequence[Tensor]) -> Tensor:
        """The inverse, `L` rounded up to whole frames."""

    @torch.inference_mode()
    def encode(self, waveform: Tensor) -> Coded:
        x = resample(waveform, SAMPLE_RATE, self.sample_rate)
        codes = [c.cpu() for c in self._encode(x[None, None].to(self.device))]
        bits = sum(len(c) * math.log2(size) for c, size in zip(codes, self.codebook_sizes, strict=True))
        return Coded(bits, (codes, len(x)), torch.stack(codes) if len({len(c) for c in codes}) == 1 else None)

    @torch.inference_mode()
    def decode(self, coded: Coded) -> Tensor:
        codes, n_samples = coded.data
        output = self._decode([c.to(self.device) for c in codes]).flatten()[:n_samples]
        return resample(output.cpu(), self.sample_rate, SAMPLE_RATE)


class _Transformers(Pretrained):
    """A model of transformers."""

    model_type: ClassVar[str]  # in config.json
    model_class: ClassVar[str]

    def _load(self, folder: Path, config: dict[str, Any]) -> torch.nn.Module:
        try:
            import transformers
        except ImportError as error:
            raise MissingBackendError(f"{self.hub_id} needs transformers: pip install transformers") from error
        if (found := config.get("model_type")) != self.model_type:
            raise ValueError(f"a model of type {found}")
        model, info = getattr(transformers, self.model_class).from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
        if missing := sorted(info["missing_keys"]):  # they would stay random
            raise ValueError(f"{len(missing)} tensors are missing, the first is {missing[0]}")
        self.sample_rate = model.config.sampling_rate
        return model


class Encodec(_Transformers):
    """EnCodec at 24 kHz. It was trained with 2, 4, 8, 16 and 32 codebooks."""

    hub_id = "facebook/encodec_24khz"
    lag = None
    model_type, model_class = "encodec", "EncodecModel"

    def _load(self, folder: Path, config: dict[str, Any]) -> torch.nn.Module:
        model = super()._load(folder, config)
        c: Any = model.config
        if c.audio_channels != 1 or c.normalize or c.chunk_length_s is not None:
            raise ValueError("a stereo, normalising or chunked EnCodec, whose scales are no codes")
        return model

    def _sizes(self) -> tuple[int, ...]:
        c = self.network.config
        return (c.codebook_size,) * c.num_quantizers

    def _encode(self, x: Tensor) -> Sequence[Tensor]:
        count = self.network.quantizer.get_num_quantizers_for_bandwidth
        bandwidth = min(b for b in self.network.config.target_bandwidths if count(b) >= self.n_q)
        return self.network.encode(x, bandwidth=bandwidth).audio_codes[0, 0, : self.n_q].unbind()

    def _decode(self, codes: Sequence[Tensor]) -> Tensor:
        return self.network.decode(torch.stack(list(codes))[None, None], [None]).audio_values


class Dac(_Transformers):
    """Descript Audio Codec."""

    hub_id = "descript/dac_24khz"
    lag = 0
    model_type, model_class = "dac", "DacModel"

    def _sizes(self) -> tuple[int, ...]:
        c = self.network.config
        return (c.codebook_size,) * c.n_codebooks

    def _encode(self, x: Tensor) -> Sequence[Tensor]:
        padding = -x.shape[-1] % self.network.config.hop_length  # or an incomplete last frame would be lost
        padded = torch.nn.functional.pad(x, (0, padding))
        return self.network.encode(padded, n_quantizers=self.n_q).audio_codes[0].unbind()

    def _decode(self, codes: Sequence[Tensor]) -> Tensor:
        return self.network.decode(audio_codes=torch.stack(list(codes))[None]).audio_values


class Mimi(_Transformers):
    """Mimi, the codec of Moshi, which uses the first 8 codebooks."""

    hub_id = "kyutai/mimi"
    lag = None
    model_type, model_class = "mimi", "MimiModel"

    def _sizes(self) -> tuple[int, ...]:
        c = self.network.config
        return (c.codebook_size,) * c.num_quantizers

    def _encode(self, x: Tensor) -> Sequence[Tensor]:
        return self.network.encode(x, num_quantizers=self.n_q).audio_codes[0].unbind()

    def _decode(self, codes: Sequence[Tensor]) -> Tensor:
        return self.network.decode(torch.stack(list(codes))[None]).audio_values


def _folder(name: str, source: str) -> Path:
    """Where config and weights are.

    Raises:
        MissingBackendError: nowhere; or only as a pickle, which is not read.
    """
    folder = Path(source)
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(source, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError) as error:
            raise MissingBackendError(
                f"{name}: no folder {source}, and not in the local Hugging Face cache: hf download {source}, "
                f"or give a folder with {CONFIG} and model.safetensors as {name.partition('=')[0]}=FOLDER"
            ) from error
    if not (folder / CONFIG).is_file() or not any(folder.glob(WEIGHTS)):
        pickled = next(folder.glob("*.bin"), None)
        ...
    return folder


def _digest(folder: Path) -> str:
    """16 hex digits of config and weights."""
    digest = hashlib.sha256()
    for path in [folder / CONFIG, *sorted(folder.glob(WEIGHTS))]:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
