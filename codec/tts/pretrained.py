"""Backbones from language models: Llama or Mistral checkpoints of transformers.

The networks differ only in the order of channels in the heads of queries and keys. Rotary positions rotate channels i
and i + head_dim / 2 there, and channels 2 i and 2 i + 1 here; so row i of a head becomes row 2 i, and row
i + head_dim / 2 row 2 i + 1. Scores stay the same.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from tokenizers import Tokenizer
from torch import Tensor

from codec.checkpoint.hub import resolve
from codec.checkpoint.store import CONFIG, WEIGHTS, CheckpointError, check_tensors, checked, read_tensors
from codec.checkpoint.voxtral import read_json, require
from codec.checkpoint.voxtral_tts import TEXT_EMBEDDING, from_released, to_released
from codec.tts.backbone import Backbone
from codec.tts.config import TransformerConfig, TTSConfig
from codec.tts.model import TTSModel
from codec.tts.text.tokenizer import SPECIAL_TOKENS, BPETokenizer, SpecialIds

HF = "hf:"  # prefix of the names of language models
INDEX, TOKENIZER = "model.safetensors.index.json", "tokenizer.json"
FILES = (CONFIG, TOKENIZER, INDEX, "model*.safetensors")
_NAMES = {TEXT_EMBEDDING: "embed_tokens.weight", "norm.weight": "norm.weight"}  # the released layout's, transformers'
_BLOCK_NAMES = {
    "attention_norm": "input_layernorm",
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
}
_IGNORED = ("lm_head.weight", "rotary_emb.inv_freq")  # the head for text, and a constant in old files


@dataclass(frozen=True)
class PretrainedBackbone:
    """What a TTS model takes over from a language model; tensors in the types of its files."""

    config: TransformerConfig
    rope_theta: float
    state: dict[str, Tensor]  # of a `Backbone`
    text_embedding: Tensor  # [vocab, dim]

    def adapt_config(self, config: TTSConfig) -> TTSConfig:
        """A TTS around this backbone; the head's transformer is like it, in as many layers as before."""
        head = dataclasses.replace(self.config, n_layers=config.head_transformer.n_layers)
        return dataclasses.replace(config, backbone=self.config, head_transformer=head, rope_theta=self.rope_theta)

    @torch.no_grad()
    def copy_to(self, model: TTSModel, special: SpecialIds) -> None:
        """Give a model of `adapt_config` this backbone, and these embeddings to all ids but the markers.

        Those the language model has never read: they stay random, scaled as its other embeddings.

        Raises:
            ValueError: the vocabulary has ids without an embedding.
        """
        markers = dataclasses.astuple(special)
        ids = torch.tensor([i for i in range(model.config.vocab_size) if i not in markers])
        if ids[-1] >= len(self.text_embedding):
            n = len(self.text_embedding)
            raise ValueError(f"the tokenizer has id {ids[-1]}, the language model embeds {n} ids; they do not fit")
        model.backbone.load_state_dict(self.state)
        weight = model.text_embedding.weight
        weight.normal_(std=float(self.text_embedding.float().std()))
        weight[ids] = self.text_embedding[ids].to(weight)


def read_backbone(name: str | Path) -> PretrainedBackbone:
    """The backbone of a local folder, or of a hub id like "owner/model".

    Only safetensors are read, in one file or many. Sliding windows, biases and scaled rotary positions are not
    supported.

    Raises:
        CheckpointError: not found, damaged, or a network that the backbone cannot be; the message names the reason.
    """
    folder = resolve(name, files=FILES)
    config, rope_theta, vocab_size = _read_config(folder / CONFIG)
    with torch.device("meta"):
        like = {f"backbone.{n}": t for n, t in Backbone(config, rope_theta).state_dict().items()}
        like["text_embedding.weight"] = torch.empty(vocab_size, config.dim)
    tensors = {n.removeprefix("model."): t for n, t in _read_tensors(folder).items() if not n.endswith(_IGNORED)}
    shapes = to_released(like)
    check_tensors(folder, {_transformers_name(n): t for n, t in shapes.items()}, tensors)
    released = {name: tensors[_transformers_name(name)] for name in shapes}
    for name in released:
        if name.endswith(("attention.wq.weight", "attention.wk.weight")):
            released[name] = adjacent_pairs(released[name], config.head_dim)
    state = from_released(released)
    text_embedding = state.pop("text_embedding.weight")
    state = {name.removeprefix("backbone."): tensor for name, tensor in state.items()}
    return PretrainedBackbone(config, rope_theta, state, text_embedding)


def read_tokenizer(name: str | Path) -> BPETokenizer:
    """The tokenizer of the same folder or hub id, with our markers after the ids of its text.

    Its own special tokens are dropped: in a text, they are text like any other.

    Raises:
        CheckpointError: there is no tokenizer.json, or one that is damaged or not byte-pair encoding.
    """
    path = resolve(name, files=FILES) / TOKENIZER
    content = read_json(path)
    try:
        model = content["model"]
        require(model, {"type": "BPE"})
        first = max(model["vocab"].values()) + 1
        new = [marker for marker in SPECIAL_TOKENS if marker not in model["vocab"]]
        model["vocab"] |= {marker: first + i for i, marker in enumerate(new)}
        content |= {"post_processor": None, "truncation": None, "padding": None}
        return BPETokenizer(Tokenizer.from_str(json.dumps(content)))
    except Exception as error:  # the package raises plain Exceptions
        raise CheckpointError(f"{path}: cannot be used ({error}); a byte-pair encoding is needed") from error


def adjacent_pairs(weight: Tensor, head_dim: int) -> Tensor:
    """Reorder rows `[H * head_dim, dim]` from halves to neighbours; see above."""
    return rearrange(weight, "(h two i) d -> (h i two) d", two=2, i=head_dim // 2)


def _read_config(path: Path) -> tuple[TransformerConfig, float, int]:
    """The transformer, the base of its rotary frequencies and its number of text ids, from a config.json."""
    args = read_json(path)
    with checked(path):
        if args["model_type"] not in ("llama", "mistral"):
            raise ValueError(f"model_type = {args['model_type']!r} is not supported, only 'llama' and 'mistral'")
        require(args, {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False})
        if args["model_type"] == "mistral":  # has a window by default
            require({"sliding_window": 4096} | args, {"sliding_window": None})
        rope = args.get("rope_parameters") or {}
        for settings in (rope, args.get("rope_scaling") or {}):
            require(settings, {"rope_type": "default", "type": "default"})
        n_heads = args["num_attention_heads"]
        config = TransformerConfig(
            dim=args["hidden_size"],
            n_layers=args["num_hidden_layers"],
            n_heads=n_heads,
            n_kv_heads=args.get("num_key_value_heads") or n_heads,
            head_dim=args.get("head_dim") or args["hidden_size"] // n_heads,
            hidden_dim=args["intermediate_size"],
            norm_eps=args["rms_norm_eps"],
        )
        return config, float(rope.get("rope_theta", args.get("rope_theta", 10_000.0))), args["vocab_size"]


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """Read all tensors of the files in the index, or of the only file."""
    index = folder / INDEX
    names = [WEIGHTS]
    if index.is_file():
        weight_map: Any = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict):
            raise CheckpointError(f"{index}: no weight_map; copy it again")
        names = sorted(set(weight_map.values()))
    tensors: dict[str, Tensor] = {}
    for name in names:
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder / name}: not found; only safetensors files are supported")
        tensors |= read_tensors(folder / name)[0]
    return tensors


def _transformers_name(released: str) -> str:
    """Name in transformers of a tensor of the released layout."""
    if released in _NAMES:
        return _NAMES[released]
    _, number, part = released.removesuffix(".weight").split(".", 2)
    return f"layers.{number}.{_BLOCK_NAMES[part]}.weight"
