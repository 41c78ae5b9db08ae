"""Semantic distillation from a frozen Whisper, the paper's L_ASR: no transcripts, no forced aligner.

Whisper writes down what it hears. Its cross-attention says where in the audio each token of that
text is, and the last decoder layer's states say what the token means there. The codec's semantic
embedding, averaged over a token's place, must point the way of that state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.functional import resample
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

_MEDIAN_WIDTH = 7  # positions of 20 ms, as in Whisper's own word timestamps
_PROMPT_TOKENS = 8  # room for what precedes the text: start, language, task, no timestamps


@dataclass
class Heard:
    """What the teacher decoded from one item: L tokens of text, special ones left out."""

    tokens: Tensor  # [L] int64
    states: Tensor  # [L, width] float32, last decoder layer where it predicts each token
    attention: Tensor  # [L, P] float32, rows over the item's encoder positions; see `token_attention`


def token_attention(weights: Tensor) -> Tensor:
    """Cross-attention `[H, L, P]` of the chosen heads -> where each token is, `[L, P]`.

    Normalised over the tokens, median-filtered along time, averaged over the heads. The norm is a
    sum, so that weights stay positive and one token alone is no division by zero.
    """
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-20)
    padded = F.pad(weights, (_MEDIAN_WIDTH // 2,) * 2, mode="replicate")
    return padded.unfold(-1, _MEDIAN_WIDTH, 1).median(-1).values.mean(0)


def to_frames(attention: Tensor, positions_per_frame: float, n_frames: int) -> Tensor:
    """Rows `[L, P]` over encoder positions -> A `[L, n_frames]`, read linearly at the middle of each frame.

    Rows sum to 1, which the paper does not ask for: the cosine ignores their scale, and a weighted
    mean of frames is easier to reason about than a sum.
    """
    last = attention.shape[-1] - 1
    middle = torch.arange(n_frames, device=attention.device) + 0.5
    place = (middle * positions_per_frame - 0.5).clamp(0, last)
    left = place.long()
    frames = torch.lerp(attention[:, left], attention[:, (left + 1).clamp(max=last)], place - left)
    frames = frames + 1e-8  # a token seen nowhere is everywhere
    return frames / frames.sum(-1, keepdim=True)


def load_teacher(name: str) -> tuple[WhisperForConditionalGeneration, WhisperFeatureExtractor]:
    """A frozen Whisper and its feature extractor, from a folder or the hub.

    Raises:
        ValueError: it is neither on disk nor on the hub.
    """
    try:
        # Only eager attention returns its weights.
        teacher = WhisperForConditionalGeneration.from_pretrained(name, attn_implementation="eager")
        extractor = WhisperFeatureExtractor.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"whisper = {name!r}: no Whisper could be loaded from there. Give a hub name such as openai/whisper-small, "
            "or a folder with its config.json, model.safetensors, generation_config.json and preprocessor_config.json"
        ) from error
    return teacher.eval().requires_grad_(False), extractor


def alignment_heads(teacher: WhisperForConditionalGeneration) -> list[tuple[int, int]]:
    """(layer, head) pairs whose cross-attention follows the audio.

    Released Whispers list those that agree best with word timestamps under DTW, the paper's
    selection. Others get every head of the upper half of the decoder.
    """
    listed = getattr(teacher.generation_config, "alignment_heads", None)
    n_layers, n_heads = teacher.config.decoder_layers, teacher.config.decoder_attention_heads
    return [(i, j) for i, j in listed or [(i, j) for i in range(n_layers // 2, n_layers) for j in range(n_heads)]]


class WhisperHead(nn.Module):
    """1 - mean_l cos(sum_f A_lf W z_f, h_l), with W the one trained layer and the teacher out of sight.

    Raises:
        ValueError: the teacher cannot be loaded.
    """

    needs_text = False

    def __init__(self, name: str, dim: int, sample_rate: int, hop_length: int, max_text_tokens: int = 128) -> None:
        super().__init__()
        teacher, self.extractor = load_teacher(name)
        # A tuple hides the teacher from parameters(), state_dict(), train() and DDP.
        self._teacher = (teacher,)
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.max_text_tokens = min(max_text_tokens, teacher.config.max_target_positions - _PROMPT_TOKENS)
        self.positions_per_second = teacher.config.max_source_positions / self.extractor.chunk_length
        self.heads = alignment_heads(teacher)
        self.project = nn.Linear(dim, teacher.config.d_model, bias=False)

    def features(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Waveform `[B, L]` -> Whisper's log-mel `[B, n_mels, n]`, padded to its 30 s with silence.

        The extractor's own arithmetic, kept on the waveform's device.

        Raises:
            ValueError: an item is longer than Whisper can hear.
        """
        e = self.extractor
        n_samples = e.chunk_length * self.sample_rate
        if (longest := int(lengths.max())) > n_samples:
            raise ValueError(
                f"an item of {longest / self.sample_rate:.1f} s: Whisper hears {e.chunk_length} s at a time, "
                "train on shorter crops"
            )
        real = torch.arange(waveform.shape[1], device=waveform.device) < lengths[:, None]
        # Padded first: resampling then does not see where the batch happened to end.
        waveform = F.pad(waveform.float() * real, (0, n_samples - waveform.shape[1]))
        waveform = resample(waveform, self.sample_rate, e.sampling_rate)
        window = torch.hann_window(e.n_fft, device=waveform.device)
        spectrum = torch.stft(waveform, e.n_fft, e.hop_length, window=window, return_complex=True)[..., :-1]
        filters = torch.from_numpy(e.mel_filters).to(waveform)
        mel = (filters.T @ spectrum.abs().square()).clamp(min=1e-10).log10()
        return (mel.maximum(mel.amax((1, 2), keepdim=True) - 8) + 4) / 4

    @torch.no_grad()
    def listen(self, waveform: Tensor, lengths: Tensor) -> list[Heard]:
        """What the teacher hears in each item of `[B, L]`: decoded greedily, then read again for its insides."""
        teacher, lengths = self._teacher[0].to(waveform.device), lengths.to(waveform.device)  # type: ignore[arg-type]
        config = teacher.generation_config
        with torch.autocast(waveform.device.type, enabled=False):
            features = self.features(waveform, lengths)
        encoded = teacher.model.encoder(features).last_hidden_state
        multilingual: dict[str, Any] = {"task": "transcribe"} if getattr(config, "is_multilingual", False) else {}
        tokens = teacher.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            max_new_tokens=self.max_text_tokens,
            do_sample=False,
            num_beams=1,
            return_timestamps=False,
            return_dict_in_generate=True,
            force_unique_generate_call=True,  # keeps the prompt in the result
            **multilingual,
        ).sequences
        # Only the decoder runs again: the encoder's attention weights would fill the memory.
        decoded = teacher.model.decoder(
            input_ids=tokens[:, :-1], encoder_hidden_states=encoded, output_attentions=True, use_cache=False
        )
        # Row l predicts token l + 1: state and attention are those with which the token was decoded.
        predicted = tokens[:, 1:]
        end = predicted == config.eos_token_id
        started = end.cumsum(1) - end.long() == 0  # up to the first end of text, included
        is_text = started & (predicted < config.eos_token_id)  # special tokens are numbered after it
        weights = torch.stack([decoded.cross_attentions[i][:, j] for i, j in self.heads], dim=1).float()
        heard = []
        for i, length in enumerate(lengths.tolist()):
            n_positions = math.ceil(length / self.sample_rate * self.positions_per_second)
            attention = token_attention(weights[i][:, started[i], :n_positions])[is_text[i][started[i]]]
            states = decoded.last_hidden_state[i][is_text[i]].float()
            heard.append(Heard(predicted[i][is_text[i]], states, attention))
        return heard

    def forward(self, embedding: Tensor, waveform: Tensor, lengths: Tensor, _: list[str]) -> Tensor:
        """Losses `[n]`, each in [0, 2], of the n <= B items in which the teacher heard any text.

        Args:
            embedding: `[B, T, D]`, semantic channels after the VQ.
            waveform: `[B, L]`.
            lengths: `[B]` samples.

        Raises:
            ValueError: an item is longer than Whisper can hear.
        """
        losses = []
        projected = self.project(embedding).float()
        positions_per_frame = self.hop_length / self.sample_rate * self.positions_per_second
        for z, heard, length in zip(projected, self.listen(waveform, lengths), lengths.tolist(), strict=True):
            if len(heard.states):
                n_frames = min(-(-length // self.hop_length), len(z))
                token_z = to_frames(heard.attention, positions_per_frame, n_frames) @ z[:n_frames]
                losses.append(1 - F.cosine_similarity(token_z, heard.states, dim=-1).mean())
        return torch.stack(losses) if losses else projected.new_zeros(0)
