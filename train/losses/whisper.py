"""A frozen Whisper as the teacher of semantic distillation, the paper's L_ASR; needs no transcripts or aligner.

Whisper transcribes the audio. Its cross-attention gives the place of each token, the last decoder layer a state for it.
The codec's semantic embedding, averaged over that place, learns the direction of the state: `train.losses.teacher`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchaudio.functional import resample
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from codec.checkpoint.hub import resolve
from train.losses.teacher import POSITIONS_PER_SECOND, TeacherStates, token_attention

# Files of a Whisper; large ones are split into shards.
FILES = (
    "config.json", "model.safetensors", "generation_config.json", "preprocessor_config.json",
    "model-*.safetensors", "model.safetensors.index.json",
)  # fmt: skip
_PROMPT_TOKENS = 8  # before the text: start, language, task, no timestamps
_TOKENS_PER_SECOND = 15  # more than in speech: beyond, Whisper repeats itself
# CER of Whisper base on 40 recordings of 1 to 15 s in six given languages: 4.3% with 5 s of silence after the longest
# of a batch, 4.0% with 8 s, 5.3% padded to 30 s; with 3 s it repeats itself in every tenth recording.
PADDING_S = 6.0


def load_whisper(name: str) -> tuple[WhisperForConditionalGeneration, WhisperFeatureExtractor]:
    """Load a frozen Whisper and its feature extractor from a folder or the hub.

    Raises:
        ValueError: it cannot be loaded.
    """
    try:
        folder = resolve(name, files=FILES)
        # Only eager attention returns its weights.
        model = WhisperForConditionalGeneration.from_pretrained(folder, attn_implementation="eager")
        extractor = WhisperFeatureExtractor.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"whisper = {name!r}: cannot load a Whisper ({str(error).splitlines()[0]}). "
            f"Give a hub name such as openai/whisper-small, or a folder with its {', '.join(FILES[:4])}"
        ) from error
    return model.eval().requires_grad_(False), extractor


def alignment_heads(model: WhisperForConditionalGeneration) -> list[tuple[int, int]]:
    """(layer, head) pairs whose cross-attention follows the audio.

    Released Whispers list those that agree best with word timestamps, as used in the paper. For others, all heads of
    the upper half of the decoder.
    """
    listed = getattr(model.generation_config, "alignment_heads", None)
    n_layers, n_heads = model.config.decoder_layers, model.config.decoder_attention_heads
    return [(i, j) for i, j in listed or [(i, j) for i in range(n_layers // 2, n_layers) for j in range(n_heads)]]


class WhisperTeacher:
    """A frozen Whisper with its feature extractor.

    Args:
        name: folder or hub name of the Whisper, of any size.
        sample_rate: of waveforms, in Hz.
        max_text_tokens: limit of decoding.

    Raises:
        ValueError: it cannot be loaded, or does not have 50 positions per second.
    """

    def __init__(self, name: str, sample_rate: int, max_text_tokens: int = 128) -> None:
        self.model, self.extractor = load_whisper(name)
        self.sample_rate = sample_rate
        self.max_text_tokens = min(max_text_tokens, self.model.config.max_target_positions - _PROMPT_TOKENS)
        self.width: int = self.model.config.d_model
        self.heads = alignment_heads(self.model)
        positions_per_second = self.model.config.max_source_positions / self.extractor.chunk_length
        if positions_per_second != POSITIONS_PER_SECOND:
            raise ValueError(
                f"whisper = {name!r}: {positions_per_second:g} positions a second, expected {POSITIONS_PER_SECOND}; "
                "its config.json and preprocessor_config.json do not belong together"
            )

    def features(self, waveform: Tensor, lengths: Tensor, padding_s: float | None = None) -> Tensor:
        """Waveform `[B, L]` -> Whisper's log-mel `[B, n_mels, n]`, padded with silence to 30 s or by `padding_s`.

        Computes the same as the extractor, on the device of the waveform.

        Raises:
            ValueError: an item is longer than Whisper allows.
        """
        e = self.extractor
        longest_s = int(lengths.max()) / self.sample_rate
        if longest_s > e.chunk_length:
            raise ValueError(f"an item of {longest_s:.1f} s: Whisper takes {e.chunk_length} s, train on shorter crops")
        seconds = e.chunk_length if padding_s is None else min(e.chunk_length, longest_s + padding_s)
        n_positions = math.ceil(seconds * POSITIONS_PER_SECOND)
        n_samples = math.ceil(n_positions * self.sample_rate / POSITIONS_PER_SECOND)
        real = torch.arange(waveform.shape[1], device=waveform.device) < lengths[:, None]
        # Padded first, so that resampling does not depend on the end of the batch.
        waveform = F.pad(waveform.float() * real, (0, n_samples - waveform.shape[1]))
        waveform = resample(waveform, self.sample_rate, e.sampling_rate)
        waveform = waveform[:, : n_positions * e.sampling_rate // POSITIONS_PER_SECOND]
        window = torch.hann_window(e.n_fft, device=waveform.device)
        spectrum = torch.stft(waveform, e.n_fft, e.hop_length, window=window, return_complex=True)[..., :-1]
        filters = torch.from_numpy(e.mel_filters).to(waveform)
        mel = (filters.T @ spectrum.abs().square()).clamp(min=1e-10).log10()
        return (mel.maximum(mel.amax((1, 2), keepdim=True) - 8) + 4) / 4

    @torch.no_grad()
    def transcribe(
        self,
        waveform: Tensor,
        lengths: Tensor,
        padding_s: float | None = None,
        languages: list[str | None] | None = None,
    ) -> list[TeacherStates]:
        """Transcribe each item of `[B, L]` greedily, then run the decoder again for states and attention.

        Args:
            waveform: `[B, L]`.
            lengths: `[B]` samples.
            padding_s: silence after the longest item, None for 30 s in all. Whisper was trained on 30 s and repeats
                itself after much less; see `PADDING_S`.
            languages: of the items, such as nl-BE; Whisper detects unknown ones.

        Raises:
            ValueError: an item is longer than Whisper allows.
        """
        model, lengths = self.model.to(waveform.device), lengths.to(waveform.device)  # type: ignore[arg-type]
        config = model.generation_config
        with torch.autocast(waveform.device.type, enabled=False):
            features = self.features(waveform, lengths, padding_s)
        encoded = BaseModelOutput(last_hidden_state=encode(model.model.encoder, features))
        seconds = int(lengths.max()) / self.sample_rate
        tokens = model.generate(
            encoder_outputs=encoded,
            max_new_tokens=min(self.max_text_tokens, _PROMPT_TOKENS + math.ceil(_TOKENS_PER_SECOND * seconds)),
            do_sample=False,
            num_beams=1,
            return_timestamps=False,
            return_dict_in_generate=True,
            force_unique_generate_call=True,  # keeps the prompt in the result
            **self._prompt(encoded, languages),
        ).sequences
        # Only the decoder runs again: the encoder's attention weights would fill the memory.
        decoded = model.model.decoder(
            input_ids=tokens[:, :-1],
            encoder_hidden_states=encoded.last_hidden_state,
            output_attentions=True,
            use_cache=False,
        )
        # Row l predicts token l + 1, with its state and attention.
        predicted = tokens[:, 1:]
        end = predicted == config.eos_token_id
        started = end.cumsum(1) - end.long() == 0  # up to and including the first end of text
        is_text = started & (predicted < config.eos_token_id)  # special tokens are numbered after it
        weights = torch.stack([decoded.cross_attentions[i][:, j] for i, j in self.heads], dim=1).float()
        results = []
        for i, length in enumerate(lengths.tolist()):
            n_positions = math.ceil(length / self.sample_rate * POSITIONS_PER_SECOND)
            attention = token_attention(weights[i][:, started[i], :n_positions])[is_text[i][started[i]]]
            states = decoded.last_hidden_state[i][is_text[i]].float()
            results.append(TeacherStates(predicted[i][is_text[i]], states, attention))
        return results

    def _prompt(self, encoded: BaseModelOutput, languages: list[str | None] | None) -> dict[str, Any]:
        """Arguments of `generate` for task and language."""
        config: Any = self.model.generation_config
        if not getattr(config, "is_multilingual", False):
            return {}
        if not languages:
            return {"task": "transcribe"}
        names = [f"<|{(language or '').split('-')[0].lower()}|>" for language in languages]
        if any(name not in config.lang_to_id for name in names):  # `generate` detects languages of all items or of none
            detected = self.model.detect_language(encoder_outputs=encoded).tolist()
            by_id = {number: name for name, number in config.lang_to_id.items()}
            names = [n if n in config.lang_to_id else by_id[i] for n, i in zip(names, detected, strict=True)]
        return {"task": "transcribe", "language": names}


def encode(encoder: Any, features: Tensor) -> Tensor:
    """Log-mel `[B, n_mels, n]` -> the states `[B, n / 2, width]` of a WhisperEncoder, as float32.

    Like its `forward`, but for any n up to 30 s; in the precision of its weights.
    """
    x = F.gelu(encoder.conv1(features.to(encoder.conv1.weight.dtype)))
    x = F.gelu(encoder.conv2(x)).transpose(1, 2)
    x = x + encoder.embed_positions.weight[: x.shape[1]]
    for layer in encoder.layers:
        x = layer(x, None)
    return encoder.layer_norm(x).float()
