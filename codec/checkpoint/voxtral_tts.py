"""Conversion of the language model from and to the released Voxtral layout.

Configs are plain JSON values here, so that `codec.tts` is not imported. Rotary positions rotate adjacent pairs of
channels in the release as in our backbone, so rows keep their order.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codec.checkpoint import voxtral
from codec.checkpoint.store import C, Config, check_tensors, checked, read_tensors
from codec.checkpoint.voxtral import BLOCK_NAMES, PARAMS, PREFIX, WEIGHTS, block_from_released, block_to_released
from codec.config import CodecConfig
from codec.tensors import write_tensors

VOICES = "voice_embedding"  # folder of a file for each voice
TEXT_EMBEDDING = "mm_audio_embeddings.tok_embeddings.weight"
_NAMES = {
    "text_embedding.weight": TEXT_EMBEDDING,
    "audio_embedding.weight": "mm_audio_embeddings.audio_codebook_embeddings.embeddings.weight",
    "backbone.norm.weight": "norm.weight",
    "semantic_head.weight": "acoustic_transformer.semantic_codebook_output.weight",
    "acoustic_head.input_projection.weight": "acoustic_transformer.input_projection.weight",
    "acoustic_head.time_projection.weight": "acoustic_transformer.time_projection.weight",
    "acoustic_head.hidden_projection.weight": "acoustic_transformer.llm_projection.weight",
    "acoustic_head.norm.weight": "acoustic_transformer.norm.weight",
    "acoustic_head.output.weight": "acoustic_transformer.acoustic_codebook_output.weight",
}
_VARIANT = {
    "head": "flow",
    "phonemes": False,
    "design": "prefix",
    "acoustic_reads_semantic": False,
    "acoustic_scale": 1.0,
}
_STACKS = {"backbone.layers.": "layers.", "acoustic_head.layers.": "acoustic_transformer.layers."}
# A text head that speech does not use, and a constant in some files.
_IGNORED = ("output.weight", "acoustic_transformer.time_embedding.inv_freq")
_SHAPE = ("dim", "n_layers", "n_heads", "n_kv_heads", "head_dim", "hidden_dim")
_CODEBOOKS = {
    "semantic_codebook_size": "semantic_codebook_size",
    "acoustic_dim": "n_acoustic_codebook",
    "acoustic_levels": "acoustic_codebook_size",
}
_IDS = {"audio_token_id": 24, "begin_audio_token_id": 25}  # of the released tokenizer


def read_config(folder: Path, kind: type[C]) -> C:
    """Read the TTS config of a released folder; its codec is that of the folder.

    Raises:
        CheckpointError: a missing or damaged params.json, or an unsupported value.
    """
    fields = config_from_params(voxtral.read_json(folder / PARAMS))
    with checked(folder / PARAMS):
        return kind.from_json(json.dumps(fields | {"codec": str(folder)}))  # type: ignore[return-value]


def read_state(folder: Path, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read our state dict from a released folder, in the types of the file.

    Args:
        folder: of `consolidated.safetensors`.
        like: the model's state dict, for its shapes; may be on the meta device.

    Raises:
        CheckpointError: an unreadable file, missing or unexpected tensors, or wrong shapes.
    """
    path = folder / WEIGHTS
    tensors, _ = read_tensors(path)
    theirs = {n: t for n, t in tensors.items() if n not in _IGNORED and not n.startswith(PREFIX)}
    check_tensors(path, to_released(like), theirs)
    return from_released(theirs)


def write_voxtral_tts(
    folder: Path,
    config: Config,
    state: dict[str, Tensor],
    codec: CodecConfig,
    codec_state: dict[str, Tensor],
    voices: dict[str, Tensor],
) -> None:
    """Write `params.json`, `consolidated.safetensors` and `voice_embedding/` of a TTS and its codec to a folder.

    Args:
        folder: exists.
        config: of the TTS.
        state: its weights.
        codec: the config of the codec.
        codec_state: its weights.
        voices: what the backbone reads of each, `[N, D]`, written as bfloat16.

    Raises:
        ValueError: the released layout does not support the configurations, or they do not match each other.
    """
    fields = json.loads(config.to_json())
    params = params_from_config(fields, codec)
    tensors = {PREFIX + name: tensor for name, tensor in voxtral.to_released(codec_state, codec).items()}
    params["multimodal"]["audio_tokenizer_args"]["voice"] = {name: i for i, name in enumerate(voices)}
    (folder / PARAMS).write_text(json.dumps(params, indent=2))
    write_tensors(folder / WEIGHTS, to_released(state) | tensors, {})
    for name, rows in voices.items():
        (folder / VOICES).mkdir(exist_ok=True)
        torch.save(rows.bfloat16(), folder / VOICES / f"{name}.pt")  # the release's own form


def from_released(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the released tensors that are present; raises KeyError for an incomplete block."""
    ours = {our_name: theirs[their_name] for our_name, their_name in _NAMES.items() if their_name in theirs}
    for our_stack, their_stack in _STACKS.items():
        for i in count():
            if f"{their_stack}{i}.attention_norm.weight" not in theirs:
                break
            ours |= block_from_released(theirs, f"{their_stack}{i}.", f"{our_stack}{i}.", BLOCK_NAMES)
    return ours


def to_released(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `from_released`."""
    theirs = {their_name: ours[our_name] for our_name, their_name in _NAMES.items() if our_name in ours}
    for our_stack, their_stack in _STACKS.items():
        for i in count():
            if f"{our_stack}{i}.attention_norm.weight" not in ours:
                break
            theirs |= block_to_released(ours, f"{our_stack}{i}.", f"{their_stack}{i}.", BLOCK_NAMES)
    return theirs


def config_from_params(params: dict[str, Any]) -> dict[str, Any]:
    """Convert a parsed params.json to the fields of our config; unknown keys are ignored.

    The number of solver steps is not included: it is a setting of each request.

    Raises:
        CheckpointError: a missing key, or an unsupported value.
    """
    with checked(PARAMS):
        audio = params["multimodal"]["audio_model_args"]
        head = audio["acoustic_transformer_args"]
        voxtral.require(params, {"use_biases": False, "causal": True, "sliding_window": None, "yarn": None})
        voxtral.require(audio, {"input_embedding_concat_type": "sum"})
        voxtral.require(audio.get("audio_encoding_args", {}), {"codebook_pattern": "parallel"})
        voxtral.require(head, {"use_biases": False, "input_dim": head["dim"]})
        if "codebook_sizes" in audio:  # the older form
            semantic, *acoustic = voxtral.ints(audio["codebook_sizes"])
            if len(set(acoustic)) != 1:
                raise ValueError(f"codebook_sizes = {audio['codebook_sizes']!r}: the acoustic ones must be equal")
            codebooks = {
                "semantic_codebook_size": semantic,
                "acoustic_dim": len(acoustic),
                "acoustic_levels": acoustic[0],
            }
        else:
            codebooks = {ours: audio[theirs] for ours, theirs in _CODEBOOKS.items()}
        return codebooks | {
            "vocab_size": params["vocab_size"],
            "rope_theta": params["rope_theta"],
            "backbone": _transformer(params),
            "head_transformer": _transformer(head),
        }


def params_from_config(fields: dict[str, Any], codec: CodecConfig) -> dict[str, Any]:
    """Convert the fields of our config and the codec's config to params.json.

    Raises:
        ValueError: the released layout does not support the configurations, or they do not match each other.
    """
    sizes = (fields["semantic_codebook_size"], *[fields["acoustic_levels"]] * fields["acoustic_dim"])
    if codec.codebook_sizes != sizes:
        raise ValueError(
            f"codec: its codebooks have {codec.codebook_sizes} entries, not those of the TTS; give the codec of the TTS"
        )
    variants = fields | {"design": fields["sequence"]["design"]}
    for name, only in _VARIANT.items():
        if variants.get(name, only) != only:
            raise ValueError(f"{name} = {variants[name]!r}: the released layout supports only {only!r}")
    params = voxtral.params_from_config(codec)
    dim = fields["backbone"]["dim"]
    params["multimodal"] |= {
        "bos_token_id": 1,
        "audio_model_args": {
            **{theirs: fields[ours] for ours, theirs in _CODEBOOKS.items()},
            "audio_encoding_args": {
                "codebook_pattern": "parallel",
                "num_codebooks": codec.num_codebooks,
                "sampling_rate": codec.sample_rate,
                "frame_rate": codec.frame_rate,
            },
            **_IDS,
            "input_embedding_concat_type": "sum",
            "acoustic_transformer_args": {"input_dim": dim, "use_biases": False, **fields["head_transformer"]},
        },
    }
    same = {"vocab_size": fields["vocab_size"], "rope_theta": fields["rope_theta"]}
    return params | {"use_biases": False, "causal": True, "tied_embeddings": True, **same, **fields["backbone"]}


def _transformer(args: dict[str, Any]) -> dict[str, Any]:
    return {key: args[key] for key in _SHAPE} | {"norm_eps": args.get("norm_eps", 1e-5)}
