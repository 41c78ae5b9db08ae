"""Recordings to padded batches of waveforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import BatchFeature, SequenceFeatureExtractor

from codec.audio.io import Audio, as_list, read_audio
from codec.hf.config import Codec37Config


class Codec37FeatureExtractor(SequenceFeatureExtractor):
    """Read, mix down, resample and pad recordings, as `Tokenizer.encode` does.

    Args:
        feature_size: channels; always 1.
        sampling_rate: of the codec, in Hz.
        padding_value: of samples after the end of an item.
        hop_length: samples per frame.
        kwargs: of `SequenceFeatureExtractor`.
    """

    model_input_names = ("input_values", "padding_mask")

    def __init__(
        self,
        feature_size: int = 1,
        sampling_rate: int = 24_000,
        padding_value: float = 0.0,
        hop_length: int = 1_920,
        **kwargs: Any,
    ) -> None:
        super().__init__(feature_size, sampling_rate, padding_value, **kwargs)
        self.hop_length = hop_length

    @classmethod
    def of(cls, config: Codec37Config) -> Codec37FeatureExtractor:
        """The feature extractor of a codec."""
        return cls(sampling_rate=config.sampling_rate, hop_length=config.hop_length)

    def __call__(
        self,
        raw_audio: Audio | Sequence[Audio],
        sampling_rate: float | None = None,
        return_tensors: str | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Make a batch of a recording or a list of recordings.

        Args:
            raw_audio: all that `Tokenizer.encode` takes: a path, samples `[L]` or `[channels, L]`, (samples, rate), an
                item of a column of `datasets`; or a list of these.
            sampling_rate: of bare samples, in Hz; other rates than the codec's are resampled.
            return_tensors: "pt" or "np".
            kwargs: of `SequenceFeatureExtractor.pad`: padding, max_length, truncation, pad_to_multiple_of.

        Returns:
            `input_values` `[B, 1, L]` float32 and `padding_mask` `[B, L]`, 1 for samples and 0 for padding.

        Raises:
            AudioError: unusable audio, or samples without a rate.
        """
        waveforms: Any = [
            read_audio(recording, sampling_rate, self.sampling_rate, f"raw_audio[{i}]").numpy(force=True)
            for i, recording in enumerate(as_list(raw_audio))
        ]
        padded = self.pad({"input_values": waveforms}, return_attention_mask=True, **kwargs)
        values = [np.asarray(waveform, np.float32)[None] for waveform in padded["input_values"]]
        return BatchFeature({"input_values": values, "padding_mask": padded["attention_mask"]}, return_tensors)
