"""Codec-SUPERB: a codec as its scripts call it, `extract_unit` and `decode_unit`.

So say `BaseCodec` and `ExtractedUnit` in SoundCodec/base_codec/general.py of voidful/Codec-SUPERB; codecs are files in
SoundCodec/codec with a class `Codec`. `UnitCodec` goes before `BaseCodec` there, which adds batches and resynthesis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from codec.tokenizer import load
from codec.tokens.tokens import Tokens


@dataclass(frozen=True)
class ExtractedUnit:
    """The codes of a recording."""

    unit: Tensor  # [K, T] int64
    stuff_for_synth: Tokens  # what `decode_unit` takes


class UnitCodec:
    """A codec of ours; subclasses name it, and `setting`, which names the folder of outputs."""

    model: str  # checkpoint folder, hub id or preset
    device: str = "cpu"  # BaseCodec sets it

    def config(self) -> None:
        """Load the codec; `BaseCodec` calls it once.

        Raises:
            ValueError: it cannot be loaded.
        """
        self.tokenizer = load(self.model, self.device)
        self.sampling_rate = self.tokenizer.config.sample_rate

    def extract_unit(self, data: dict[str, Any]) -> ExtractedUnit:
        """Encode an item of `datasets`: `data["audio"]` has `array` `[L]` and `sampling_rate` in Hz.

        Raises:
            ValueError: unusable audio.
        """
        audio = data["audio"]
        samples = np.asarray(audio["array"], np.float32)
        tokens = self.tokenizer.encode(samples, audio.get("sampling_rate") or self.sampling_rate)
        return ExtractedUnit(tokens.codes[0], tokens)

    def decode_unit(self, stuff_for_synth: Tokens) -> NDArray[np.float32]:
        """Decode to `[L]` float32 at `sampling_rate`."""
        return self.tokenizer.decode(stuff_for_synth)[0].numpy(force=True)
