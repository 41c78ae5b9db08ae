"""Text and recordings to ids of one vocabulary, for a language model, and back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerBase, ProcessorMixin
from transformers.processing_utils import AUDIO_TOKENIZER_KWARGS

from codec.audio.io import Audio, as_list
from codec.hf.features import Codec37FeatureExtractor
from codec.hf.hub import HubMixin
from codec.hf.model import Codec37Model
from codec.settings import require
from codec.tokens.layout import END, IdLayout

AUDIO = "<|audio|>"  # marks a recording in a text


class Codec37Processor(HubMixin, ProcessorMixin):  # type: ignore[misc]  # another push_to_hub
    """Pair a codec with a text tokenizer: where a text has `audio_token`, its ids have those of a recording.

    The vocabulary is the text tokenizer's, `len(tokenizer)` ids, then those of `id_layout`. A recording is its frames,
    one after another, each with an id per codebook, and a frame that begins with END. The text tokenizer is unchanged;
    the special tokens in the ids are those that a text spells out, as `<s>`.

    Args:
        feature_extractor: of the codec.
        tokenizer: of texts.
        audio_tokenizer: the codec.
        num_quantizers: codebooks in use, from the first; None: all.
        audio_token: what stands for a recording in a text.

    Raises:
        ValueError: no such number of codebooks.
    """

    audio_tokenizer: Codec37Model

    def __init__(
        self,
        feature_extractor: Codec37FeatureExtractor,
        tokenizer: PreTrainedTokenizerBase,
        audio_tokenizer: Codec37Model,
        num_quantizers: int | None = None,
        audio_token: str = AUDIO,
    ) -> None:
        super().__init__(feature_extractor, tokenizer, audio_tokenizer=audio_tokenizer)
        n_books = audio_tokenizer.config.num_quantizers
        self.num_quantizers = n_books if num_quantizers is None else num_quantizers
        require(1 <= self.num_quantizers <= n_books, "num_quantizers", num_quantizers, f"1 to {n_books}")
        self.audio_token = audio_token

    @property
    def id_layout(self) -> IdLayout:
        """Ids of the codebooks in use, from 0; in a sequence they come after those of texts."""
        return IdLayout(self.audio_tokenizer.config.codebook_sizes[: self.num_quantizers])

    @property
    def vocab_size(self) -> int:
        """Number of ids of texts and recordings."""
        return len(self.tokenizer) + self.id_layout.vocab_size

    def __call__(
        self,
        text: str | Sequence[str],
        audio: Audio | Sequence[Audio] | None = None,
        *,
        audio_codes: Sequence[Tensor] | None = None,
        sampling_rate: float | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Make the ids of a text or a list of texts.

        Args:
            text: with `audio_token` once for each of its recordings.
            audio: the recordings of all texts, in order; each as for the feature extractor.
            audio_codes: their codes `[K, T]` instead, of at least `num_quantizers` codebooks.
            sampling_rate: of bare samples, in Hz.
            return_tensors: "pt" pads by the text tokenizer's padding token; None gives lists.

        Returns:
            `input_ids` and `attention_mask`, `[B, S]` or lists.

        Raises:
            ValueError: not one recording for each `audio_token`, or codes out of range. AudioError: unusable audio.
        """
        texts = [text] if isinstance(text, str) else list(text)
        codes = self._encode(audio, sampling_rate) if audio_codes is None else list(audio_codes)
        n_marks = sum(each.count(self.audio_token) for each in texts)
        if n_marks != len(codes):
            raise ValueError(f"text: {self.audio_token} {n_marks} times for {len(codes)} recordings; expected one each")
        recordings = iter(codes)
        rows = []
        for each in texts:
            first, *rest = each.split(self.audio_token)
            row = self._text_ids(first)
            for part in rest:
                row += self._audio_ids(next(recordings)) + self._text_ids(part)
            rows.append(row)
        if return_tensors is not None:
            return self.tokenizer.pad({"input_ids": rows}, return_tensors=return_tensors)
        return BatchFeature({"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]})

    def split(self, ids: Tensor | Sequence[int]) -> list[list[int] | Tensor]:
        """Split ids `[S]` into text ids, and codes `[num_quantizers, T]` for each recording, in order.

        A recording without END, as a generated one may be, ends at its last whole frame.

        Raises:
            ValueError: an id at the place of another codebook.
        """
        parts: list[list[int] | Tensor] = []
        for is_text, run in groupby(map(int, ids), lambda i: i < len(self.tokenizer)):
            row = list(run)
            parts += [row] if is_text else self._recordings(row)
        return parts

    def decode(self, ids: Tensor | Sequence[int], **kwargs: Any) -> str:
        """The text of ids `[S]`, with `audio_token` for recordings; `kwargs` of the text tokenizer's `decode`."""
        return "".join(
            self.audio_token if isinstance(part, Tensor) else self.tokenizer.decode(part, **kwargs)
            for part in self.split(ids)
        )

    def batch_decode(self, ids: Tensor | Sequence[Sequence[int]], **kwargs: Any) -> list[str]:
        """`decode` for each row."""
        return [self.decode(row, **kwargs) for row in ids]

    @torch.no_grad()
    def decode_audio(self, ids: Tensor | Sequence[int]) -> list[Tensor]:
        """Waveforms `[L]` float32 of the recordings in ids `[S]`, in order, but for empty ones; without gradients."""
        codec = self.audio_tokenizer
        recordings = [part for part in self.split(ids) if isinstance(part, Tensor) and part.shape[1]]
        return [codec.decode(codes[None].to(codec.device)).audio_values[0, 0].cpu() for codes in recordings]

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:  # type: ignore[override]
        """Write settings, text tokenizer and codec to one folder."""
        super().save_pretrained(save_directory, **kwargs)
        self.audio_tokenizer.save_pretrained(save_directory)

    def to_dict(self) -> dict[str, Any]:
        """Settings; the codec is beside them, not at the address that it was loaded from."""
        return {name: value for name, value in super().to_dict().items() if name != "audio_tokenizer"}

    @classmethod
    def get_processor_dict(  # type: ignore[override]
        cls, name: str | PathLike[Any], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read settings and codec of a folder or hub repository."""
        places = {key: kwargs[key] for key in (*AUDIO_TOKENIZER_KWARGS, "revision", "subfolder") if key in kwargs}
        settings, others = super().get_processor_dict(name, **kwargs)
        return {**settings, "audio_tokenizer": Codec37Model.from_pretrained(str(name), **places)}, others

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        """As of any processor, which for audio tokenizers only knows some of transformers'."""
        if argument_name == "audio_tokenizer" and isinstance(argument, Codec37Model):
            return Codec37Model
        return super().check_argument_for_proper_class(argument_name, argument)

    def _encode(self, audio: Audio | Sequence[Audio] | None, sampling_rate: float | None) -> list[Tensor]:
        if audio is None:
            return []
        inputs = self.feature_extractor(as_list(audio), sampling_rate, "pt").to(self.audio_tokenizer.device)
        batch, mask = self.audio_tokenizer.encode(**inputs).to_tuple()
        return [codes[:, :length] for codes, length in zip(batch, mask.sum(1).tolist(), strict=True)]

    def _text_ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []

    def _audio_ids(self, codes: Tensor) -> list[int]:
        ids = self.id_layout.to_ids(codes[None, : self.num_quantizers], end=True)
        return (self.id_layout.flatten(ids)[0] + len(self.tokenizer)).tolist()

    def _recordings(self, ids: list[int]) -> list[Tensor]:
        n_frames = len(ids) // self.num_quantizers
        flat = torch.tensor(ids[: n_frames * self.num_quantizers], dtype=torch.int64) - len(self.tokenizer)
        frames = self.id_layout.unflatten(flat[None], self.num_quantizers)  # [1, n_q, T]
        ends = (frames[0, 0] == END).nonzero()[:, 0] + 1
        pieces = [self.id_layout.from_ids(piece) for piece in frames.tensor_split(ends, dim=2) if piece.shape[2]]
        return [codes[0, :, : int(lengths[0])] for codes, lengths in pieces]
