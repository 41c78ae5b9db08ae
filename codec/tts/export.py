"""Voice models in the released Voxtral layout, with voices, for servers of that model.

The layout has one form of tokenizer, tekken. A BPE that was trained here is written in that form, under other ids, and
the rows of the text embedding move with them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codec.checkpoint.voxtral_tts import params_from_config, write_voxtral_tts
from codec.config import CodecConfig
from codec.files import atomic_folder
from codec.tokenizer import Tokenizer
from codec.tts.checkpoint import TEKKEN, TOKENIZER
from codec.tts.model import TTSModel, as_frames
from codec.tts.sequence import NONE
from codec.tts.text.tekken import N_SPECIAL, TekkenTokenizer, as_tekken, special_ids
from codec.tts.text.tokenizer import BPETokenizer, SpecialIds, TextTokenizer
from codec.tts.voices import Voice

TEXT_EMBEDDING = "text_embedding.weight"
# What a reader of tekken.json asks for; speech is not made of spectrograms.
_SPECTROGRAM = {"num_mel_bins": 128, "hop_length": 160, "window_size": 400}


def check_voxtral(model: TTSModel, codec: Tokenizer) -> None:
    """Check that the layout can express a model and its codec, before voices are made.

    Raises:
        ValueError: it cannot; the message names the setting.
    """
    params_from_config(json.loads(model.config.to_json()), codec.config)


@torch.no_grad()
def export_voxtral(
    folder: str | Path,
    model: TTSModel,
    tokenizer: TextTokenizer,
    codec: Tokenizer,
    voices: Mapping[str, Voice] | None = None,
) -> None:
    """Write a TTS and its codec in the released Voxtral layout, with unchanged dtypes.

    Args:
        folder: replaced if it exists.
        model: the network.
        tokenizer: a tekken.json, or a BPE that was trained here.
        codec: the one that the model speaks through.
        voices: by the names that clients ask for.

    Raises:
        ValueError: the layout does not support the model or the tokenizer, or codec or voices are not the model's.
    """
    check_voxtral(model, codec)
    voices, state, config = voices or {}, model.state_dict(), model.config
    for voice in voices.values():
        voice.check(config.codebook_sizes, codec.fingerprint)
    rows = {name: _rows(model, voice) for name, voice in voices.items()}
    if isinstance(tokenizer, BPETokenizer):
        content, before = as_tekken(tokenizer)
        config = replace(config, vocab_size=content["config"]["default_vocab_size"])
        state[TEXT_EMBEDDING] = _moved(state[TEXT_EMBEDDING], before, tokenizer.special, content)
    elif isinstance(tokenizer, TekkenTokenizer):
        content = tokenizer.content()
    else:
        raise ValueError(f"tokenizer: a {type(tokenizer).__name__}; expected a {TEKKEN} or a {TOKENIZER}")
    content["audio"] = _audio(codec.config, rows)
    with atomic_folder(Path(folder)) as new:
        write_voxtral_tts(new, config, state, codec.config, codec.model.state_dict(), rows)
        (new / TEKKEN).write_text(json.dumps(content), encoding="utf-8")


def _rows(model: TTSModel, voice: Voice) -> Tensor:
    """What the backbone reads of a voice, `[N, D]`: a row for each frame and one for its end."""
    frames = as_frames(model.trim_voice(voice.codes).cpu())[None]
    nothing = torch.full((1, frames.shape[1], 1), NONE)
    return model.embed(nothing.to(model.device), frames.to(model.device))[0].cpu()


def _moved(embedding: Tensor, before: list[int], special: SpecialIds, content: dict[str, Any]) -> Tensor:
    """Rows of a text embedding under the ids of a tekken.json; ids that no speech has are zero."""
    moved = embedding.new_zeros(N_SPECIAL + len(before), embedding.shape[1])
    moved[N_SPECIAL:] = embedding[before]
    names = {token["token_str"]: token["rank"] for token in content["special_tokens"]}
    moved[list(astuple(special_ids(names)))] = embedding[list(astuple(special))]
    return moved


def _audio(config: CodecConfig, rows: dict[str, Tensor]) -> dict[str, Any]:
    """The part of a tekken.json about audio, and how many positions each voice takes."""
    return {
        "sampling_rate": config.sample_rate,
        "frame_rate": config.frame_rate,
        "audio_encoding_config": _SPECTROGRAM,
        "voice_num_audio_tokens": {name: len(r) for name, r in rows.items()},
    }
