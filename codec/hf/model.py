"""The codec as an audio tokenizer of transformers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_utils import PreTrainedAudioTokenizerBase
from transformers.utils import ModelOutput

from codec.checkpoint.store import CheckpointError
from codec.hf.config import Codec37Config
from codec.hf.features import Codec37FeatureExtractor
from codec.hf.hub import HubMixin
from codec.model import Codec
from codec.settings import DEFAULT, require
from codec.tokenizer import Tokenizer, load
from codec.tokens.tokens import check_codes


@dataclass
class Codec37EncoderOutput(ModelOutput):
    """Codes `[B, n_q, T]` int64, zeros after the end of an item; a mask `[B, T]` int64 of frames, 1 before that end."""

    audio_codes: Tensor
    audio_codes_mask: Tensor | None = None


@dataclass
class Codec37DecoderOutput(ModelOutput):
    """Waveforms `[B, 1, L]` float32, not limited to [-1, 1], zeros after the end of an item."""

    audio_values: Tensor


@dataclass
class Codec37Output(ModelOutput):
    """Codes as encoded, and the waveforms decoded from them."""

    audio_codes: Tensor
    audio_values: Tensor | None = None
    audio_codes_mask: Tensor | None = None


class Codec37Model(HubMixin, PreTrainedAudioTokenizerBase):  # type: ignore[misc]  # another push_to_hub
    """A codec with the interface of transformers' audio tokenizers; `codec` is the network of this library.

    Its codes are those of `codec.load(...)`, for an item alone and in a padded batch.
    """

    config_class = Codec37Config
    base_model_prefix = "codec37"
    main_input_name = "input_values"
    input_modalities = "audio"
    config: Codec37Config
    _keep_in_fp32_modules_strict = {"quantizer", "front", "head", "pitch"}  # noqa: RUF012  as `Codec.cast`

    def __init__(self, config: Codec37Config) -> None:
        super().__init__(config)
        self.codec = Codec(config.codec_config, config.with_encoder)
        self.post_init()

    def init_weights(self) -> None:
        """Do nothing: the network has initialised itself."""

    @classmethod
    def from_codec(cls, codec: Tokenizer | str | Path = DEFAULT) -> Codec37Model:
        """Copy a codec of this library: a `Tokenizer`, or what `codec.load` loads: the packaged default, a checkpoint
        folder, a hub id, a preset.

        Raises:
            CheckpointError: as `codec.load`.
        """
        source = (codec if isinstance(codec, Tokenizer) else load(codec)).model
        model = cls(Codec37Config.of(source.config, source.has_encoder))
        model.codec.load_state_dict(source.state_dict())
        return model.eval()

    @classmethod
    def from_pretrained(cls, name: str | Path, *args: Any, **kwargs: Any) -> Codec37Model:  # type: ignore[override]
        """Load from a folder or hub repository that `save_pretrained` or `push_to_hub` made; arguments as of any model.

        Raises:
            CheckpointError: tensors are missing.
        """
        loaded: Any = super().from_pretrained(name, *args, **{**kwargs, "output_loading_info": True})
        model, info = loaded
        if missing := sorted(info["missing_keys"]):
            raise CheckpointError(f"{name}: the tensors do not match the config: missing {', '.join(missing[:5])}")
        # What the network derives from config and weights was never computed: transformers makes it without memory.
        made = Codec(model.config.codec_config, model.config.with_encoder)
        made.load_state_dict(model.codec.state_dict())
        model.codec = made.cast(model.codec.dtype).to(model.device).eval()
        return loaded if kwargs.get("output_loading_info") else model

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:  # type: ignore[override]
        """Write config, weights and the feature extractor's settings to a folder, which `codec.load` reads as well.

        Arguments are those of any model, except for `push_to_hub`, which is a method.
        """
        super().save_pretrained(save_directory, **kwargs)
        Codec37FeatureExtractor.of(self.config).save_pretrained(save_directory)

    @torch.no_grad()
    def encode(  # type: ignore[override]
        self, input_values: Tensor, padding_mask: Tensor | None = None, num_quantizers: int | None = None
    ) -> Codec37EncoderOutput:
        """Encode waveforms.

        Args:
            input_values: `[B, 1, L]` float at `config.sampling_rate`.
            padding_mask: `[B, L]`, 1 for samples and 0 for padding after them; None: no padding.
            num_quantizers: codebooks to keep, from the first; None: all.

        Raises:
            ValueError: wrong shapes, padding before samples, or no such number of codebooks.
            MissingEncoderError: the codec only decodes.
        """
        if input_values.ndim != 3 or input_values.shape[1] != 1:
            raise ValueError(f"input_values: shape {tuple(input_values.shape)}; expected mono waveforms [B, 1, L]")
        n_books = self.codec.config.num_codebooks
        n_q = n_books if num_quantizers is None else num_quantizers
        require(1 <= n_q <= n_books, "num_quantizers", n_q, f"1 to {n_books}")
        waveform = input_values[:, 0]
        mask = torch.ones_like(waveform, dtype=torch.int64) if padding_mask is None else padding_mask
        lengths = self._lengths(mask, waveform.shape)
        codes = self.codec.encode(waveform * mask, lengths)[:, :n_q]
        frames = torch.arange(codes.shape[2], device=codes.device)
        kept = frames < self._frames(lengths)[:, None]  # [B, T]
        return Codec37EncoderOutput(codes * kept[:, None], kept.long())

    def decode(self, audio_codes: Tensor, padding_mask: Tensor | None = None) -> Codec37DecoderOutput:  # type: ignore[override]
        """Decode codes; gradients reach the weights.

        Args:
            audio_codes: `[B, n_q, T]` integers, of the first n_q >= 1 codebooks.
            padding_mask: `[B, L]` as for `encode`: samples of each item; None: T whole frames each.

        Raises:
            ValueError: wrong shapes, codes out of range, or samples that have no frame.
        """
        codes = check_codes(audio_codes, self.codec.config.codebook_sizes)
        if padding_mask is None:
            return Codec37DecoderOutput(self.codec.decode(codes).float()[:, None])
        lengths = self._lengths(padding_mask, (len(codes), padding_mask.shape[-1]))
        n_frames = self._frames(lengths)
        if int(n_frames.max()) > codes.shape[2]:
            raise ValueError(f"padding_mask: {int(lengths.max())} samples exceed {codes.shape[2]} frames")
        values = self.codec.decode(codes, n_frames).float()[:, : padding_mask.shape[1]]
        return Codec37DecoderOutput((values * padding_mask[:, : values.shape[1]])[:, None])

    def forward(
        self, input_values: Tensor, padding_mask: Tensor | None = None, num_quantizers: int | None = None
    ) -> Codec37Output:
        """Encode and decode; arguments as of `encode`."""
        codes, mask = self.encode(input_values, padding_mask, num_quantizers).to_tuple()
        (values,) = self.decode(codes, padding_mask).to_tuple()
        return Codec37Output(codes, values[..., : input_values.shape[-1]], mask)

    def _frames(self, lengths: Tensor) -> Tensor:
        hop_length = self.codec.config.hop_length
        return (lengths + hop_length - 1) // hop_length

    @staticmethod
    def _lengths(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Samples `[B]` of each item."""
        if tuple(mask.shape) != tuple(shape):
            raise ValueError(f"padding_mask: shape {tuple(mask.shape)}; expected {tuple(shape)}, one for each sample")
        if bool((mask[:, 1:] > mask[:, :-1]).any()):
            raise ValueError("padding_mask: padding before samples; pad at the end (padding_side='right')")
        return mask.sum(1).long()
