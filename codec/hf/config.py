"""Config of a codec for transformers."""

from __future__ import annotations

import json
from typing import Any

from transformers import PreTrainedConfig

from codec.checkpoint.pretrained import MODEL_TYPE
from codec.config import CodecConfig


class Codec37Config(PreTrainedConfig):
    """Architecture of a codec; its derived numbers have the names that audio models of transformers use.

    Args:
        codec: fields of `CodecConfig`; others take their defaults.
        with_encoder: False for a codec that only decodes, as the released one.

    Raises:
        ValueError: unknown or invalid fields; the message names them.
    """

    model_type = MODEL_TYPE

    codec: dict[str, Any] | None = None
    with_encoder: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        self.codec = json.loads(CodecConfig.from_json(json.dumps(self.codec or {})).to_json())
        super().__post_init__(**kwargs)

    @classmethod
    def of(cls, config: CodecConfig, with_encoder: bool = True) -> Codec37Config:
        """Config of a codec of this library."""
        return cls(codec=json.loads(config.to_json()), with_encoder=with_encoder)

    @property
    def codec_config(self) -> CodecConfig:
        """The same as this library's config."""
        return CodecConfig.from_json(json.dumps(self.codec))

    @property
    def sampling_rate(self) -> int:
        """Hz."""
        return self.codec_config.sample_rate

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return self.codec_config.hop_length

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.codec_config.frame_rate

    @property
    def num_quantizers(self) -> int:
        """Codebooks."""
        return self.codec_config.num_codebooks

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Codes of each codebook."""
        return self.codec_config.codebook_sizes
