"""EnCodec, DAC and Mimi, by transformers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from codec.extras import needs
from eval.systems.pretrained import Network, Pretrained


class _HuggingFace(Pretrained):
    # The networks of EnCodec and Mimi are causal and may have learned a delay, so their lag is searched for.
    model_class: ClassVar[str]
    n_codebooks_field: ClassVar[str] = "num_quantizers"

    def _load(self, folder: Path, config: dict[str, Any]) -> Network:
        with needs("transformers", self.family):
            import transformers
        if (found := config.get("model_type")) != self.family:
            raise ValueError(f"model_type is {found}")
        model, info = getattr(transformers, self.model_class).from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
        if missing := sorted(info["missing_keys"]):  # transformers only warns, and leaves them random
            raise ValueError(f"{len(missing)} tensors are missing, the first is {missing[0]}")
        c = model.config
        return Network(model, c.sampling_rate, getattr(c, self.n_codebooks_field), c.codebook_size)


class Encodec(_HuggingFace):
    """EnCodec at 24 kHz, trained with its first 2, 4, 8, 16 and 32 codebooks."""

    family, hub_id, lag = "encodec", "facebook/encodec_24khz", None
    model_class = "EncodecModel"

    def _load(self, folder: Path, config: dict[str, Any]) -> Network:
        network = super()._load(folder, config)
        c = network.module.config
        if c.audio_channels != 1 or c.normalize or c.chunk_length_s is not None:
            raise ValueError("EnCodec in stereo, in chunks or with normalisation is not supported")
        return network

    def _encode(self, x: Tensor) -> Iterable[Tensor]:
        model = self.network.module
        count = model.quantizer.get_num_quantizers_for_bandwidth
        bandwidth = min(b for b in model.config.target_bandwidths if count(b) >= self.n_q)
        return model.encode(x, bandwidth=bandwidth).audio_codes[0, 0, : self.n_q]

    def _decode(self, codes: list[Tensor]) -> Tensor:
        return self.network.module.decode(torch.stack(codes)[None, None], audio_scales=[None]).audio_values


class Dac(_HuggingFace):
    """Descript Audio Codec."""

    family, hub_id, lag = "dac", "descript/dac_24khz", 0  # its layers are symmetric in time
    model_class, n_codebooks_field = "DacModel", "n_codebooks"

    def _encode(self, x: Tensor) -> Iterable[Tensor]:
        model = self.network.module
        padding = -x.shape[-1] % model.config.hop_length  # or an incomplete last frame is lost
        return model.encode(torch.nn.functional.pad(x, (0, padding)), n_quantizers=self.n_q).audio_codes[0]

    def _decode(self, codes: list[Tensor]) -> Tensor:
        return self.network.module.decode(audio_codes=torch.stack(codes)[None]).audio_values


class Mimi(_HuggingFace):
    """Mimi; Moshi uses its first 8 codebooks of 32."""

    family, hub_id, lag = "mimi", "kyutai/mimi", None
    model_class = "MimiModel"

    def _encode(self, x: Tensor) -> Iterable[Tensor]:
        return self.network.module.encode(x, num_quantizers=self.n_q).audio_codes[0]

    def _decode(self, codes: list[Tensor]) -> Tensor:
        return self.network.module.decode(torch.stack(codes)[None]).audio_values
