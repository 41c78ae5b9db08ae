"""Conversion from and to the released Voxtral layout: params.json and consolidated.safetensors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from codec.checkpoint.store import CONFIG, CheckpointError, checked, read_tensors
from codec.config import CodecConfig
from codec.files import atomic_folder
from codec.quant.fsq import FSQConfig
from codec.quant.split import SplitConfig
from codec.quant.vq import VQConfig
from codec.tensors import write_tensors

PARAMS, WEIGHTS = "params.json", "consolidated.safetensors"
PREFIX = "audio_tokenizer."
_SAME_NAMES = ("dim", "hidden_dim", "n_heads", "n_kv_heads", "head_dim", "norm_eps", "qk_norm_eps")
_CODEBOOK = ("embedding_sum", "cluster_usage")
BLOCK_NAMES = {
    "attention_norm.weight": "attention_norm.weight",
    "attention.out.weight": "attention.wo.weight",
    "feed_forward_norm.weight": "ffn_norm.weight",
    "feed_forward.down.weight": "feed_forward.w2.weight",
}
_CODEC_BLOCK_NAMES = BLOCK_NAMES | {
    "attention.q_norm.weight": "attention.q_norm.weight",
    "attention.k_norm.weight": "attention.k_norm.weight",
    "attention_scale.weight": "attention_scale",
    "feed_forward_scale.weight": "ffn_scale",
}
_JOINED = {
    "attention.qkv": ("attention.wq", "attention.wk", "attention.wv"),
    "feed_forward.gate_up": ("feed_forward.w1", "feed_forward.w3"),
}


class _Layer(NamedTuple):
    ours: str  # prefix of names in our state dict
    theirs: str  # prefix of names in the release, without PREFIX
    kind: str  # "conv", "transpose" or "block"
    stride: int = 1
    weight_norm: bool = True


def is_released(folder: Path) -> bool:
    """Whether a folder has the released layout rather than ours."""
    return (folder / PARAMS).is_file() and not (folder / CONFIG).is_file()


def read_voxtral(folder: Path) -> tuple[CodecConfig, dict[str, Tensor]]:
    """Read config and our state dict from a released folder; without `_encoder` if the file has no encoder.

    Raises:
        CheckpointError: a file or tensor is missing or has a wrong shape, or a setting is not supported.
    """
    config = config_from_params(read_json(folder / PARAMS))
    path = folder / WEIGHTS
    tensors, _ = read_tensors(path)
    theirs = {name.removeprefix(PREFIX): t.float() for name, t in tensors.items() if name.startswith(PREFIX)}
    try:
        return config, from_released(theirs, config)
    except KeyError as error:
        raise CheckpointError(f"{path}: tensor {PREFIX}{error.args[0]} is missing; fetch the file again") from error
    except (RuntimeError, IndexError) as error:
        raise CheckpointError(f"{path}: the shape of a tensor does not match {PARAMS} ({error})") from error


def write_voxtral(folder: Path, config: CodecConfig, state: dict[str, Tensor]) -> None:
    """Write our state dict in the released layout, as float32."""
    params = params_from_config(config)
    tensors = {PREFIX + name: tensor for name, tensor in to_released(state, config).items()}
    with atomic_folder(folder) as new:
        (new / PARAMS).write_text(json.dumps(params, indent=2))
        write_tensors(new / WEIGHTS, tensors, {})


def from_released(theirs: dict[str, Tensor], config: CodecConfig) -> dict[str, Tensor]:
    """Rename and reshape released tensors (without their prefix); raises KeyError for a missing one."""
    ours = {f"quantizer.semantic.{name}": theirs[f"quantizer.semantic_codebook.{name}"] for name in _CODEBOOK}
    ours["quantizer.semantic.started"] = torch.tensor(True)
    has_encoder = any(name.startswith(("input_proj.", "encoder_blocks.")) for name in theirs)
    for layer in _layers(config, has_encoder):
        if layer.kind == "block":
            ours |= block_from_released(theirs, layer.theirs, layer.ours, _CODEC_BLOCK_NAMES)
            continue
        if layer.weight_norm:
            g, v = (theirs[f"{layer.theirs}conv.parametrizations.weight.original{i}"] for i in (0, 1))
            weight = g * v / v.flatten(1).norm(dim=1)[:, None, None]
        else:
            weight = theirs[layer.theirs + "conv.weight"]
        if layer.kind == "transpose":  # [in, out, taps * stride], latest tap first
            weight = weight.unflatten(2, (-1, layer.stride)).flip(2).permute(3, 1, 2, 0)
        else:
            weight = weight.transpose(1, 2)
        ours[layer.ours + "weight"] = weight.contiguous()
    return ours


def to_released(ours: dict[str, Tensor], config: CodecConfig) -> dict[str, Tensor]:
    """The inverse of `from_released`; weight norm's g is the norm of each row and v the row itself."""
    theirs = {f"quantizer.semantic_codebook.{name}": ours[f"quantizer.semantic.{name}"] for name in _CODEBOOK}
    has_encoder = any(name.startswith("_encoder.") for name in ours)
    for layer in _layers(config, has_encoder):
        if layer.kind == "block":
            theirs |= block_to_released(ours, layer.ours, layer.theirs, _CODEC_BLOCK_NAMES)
            continue
        weight = ours[layer.ours + "weight"]
        is_transpose = layer.kind == "transpose"
        weight = weight.permute(3, 1, 2, 0).flip(2).flatten(2) if is_transpose else weight.transpose(1, 2)
        if layer.weight_norm:
            name = layer.theirs + "conv.parametrizations.weight.original"
            theirs[name + "0"] = weight.flatten(1).norm(dim=1)[:, None, None]
            theirs[name + "1"] = weight
        else:
            theirs[layer.theirs + "conv.weight"] = weight
    return {name: tensor.contiguous() for name, tensor in theirs.items()}


def block_from_released(
    theirs: dict[str, Tensor], their_prefix: str, prefix: str, names: dict[str, str]
) -> dict[str, Tensor]:
    """Convert the tensors of one transformer block; `names` maps those that are only renamed, ours to theirs."""
    ours = {prefix + our_name: theirs[their_prefix + their_name] for our_name, their_name in names.items()}
    for our_name, parts in _JOINED.items():
        ours[f"{prefix}{our_name}.weight"] = torch.cat([theirs[f"{their_prefix}{part}.weight"] for part in parts])
    return ours


def block_to_released(
    ours: dict[str, Tensor], prefix: str, their_prefix: str, names: dict[str, str]
) -> dict[str, Tensor]:
    """The inverse of `block_from_released`."""
    theirs = {their_prefix + their_name: ours[prefix + our_name] for our_name, their_name in names.items()}
    qkv, gate_up = (ours[f"{prefix}{name}.weight"] for name in _JOINED)
    q_dim = ours[prefix + "attention.out.weight"].shape[1]
    kv_dim = (len(qkv) - q_dim) // 2
    tensors = (*qkv.split((q_dim, kv_dim, kv_dim)), *gate_up.chunk(2))
    parts = [part for parts in _JOINED.values() for part in parts]
    return theirs | {f"{their_prefix}{part}.weight": w for part, w in zip(parts, tensors, strict=True)}


def config_from_params(params: dict[str, Any]) -> CodecConfig:
    """Convert a parsed params.json to our config; unknown keys are ignored.

    Raises:
        CheckpointError: a missing key, or an unsupported value.
    """
    with checked(PARAMS):
        a = params["multimodal"]["audio_tokenizer_args"]
        strides = ints(a.get("encoder_convs_strides_str", "2,2,2,1"))
        kernel_sizes = ints(a.get("encoder_convs_kernels_str", "4,4,4,3"))
        require(a, {"channels": 1, "causal": True, "qk_norm": True, "use_biases": False, "layer_scale": True})
        mirrored = ints(a["decoder_convs_strides_str"]), ints(a["decoder_convs_kernels_str"])
        if mirrored != (strides[::-1], kernel_sizes[::-1]):
            raise ValueError("the decoder's strides and kernels must mirror the encoder's")
        windows, window = [], a["attn_sliding_window_size"]
        for stride in strides:
            windows.append(window)
            if stride > 1 and a.get("half_attn_window_upon_downsampling", True):
                window //= stride
        return CodecConfig(
            sample_rate=a["sampling_rate"],
            patch_size=a["pretransform_patch_size"],
            proj_kernel_size=a["patch_proj_kernel_size"],
            **{key: a[key] for key in _SAME_NAMES},
            layer_scale_init=a.get("layer_scale_init", 0.01),
            strides=strides,
            kernel_sizes=kernel_sizes,
            windows=tuple(windows),
            encoder_layers=ints(a.get("encoder_transformer_lengths_str", "2,2,2,2")),
            decoder_layers=ints(a["decoder_transformer_lengths_str"]),
            proj_weight_norm=a["conv_weight_norm"],
            quantizer=SplitConfig(
                semantic=VQConfig(codebook_size=a["semantic_codebook_size"], dim=a["semantic_dim"]),
                acoustic=FSQConfig(n_channels=a["acoustic_dim"], levels=a["acoustic_codebook_size"]),
            ),
        )


def params_from_config(config: CodecConfig) -> dict[str, Any]:
    """Convert our config to the codec's part of params.json.

    Raises:
        ValueError: the released layout does not support the configuration.
    """
    for name in ("front", "head"):
        if (value := getattr(config, name)) != "patches":
            raise ValueError(f"{name} = {value!r}: the released layout supports only 'patches'")
    quantizer = config.quantizer
    if not isinstance(quantizer, SplitConfig) or not isinstance(quantizer.acoustic, FSQConfig):
        raise ValueError(f"quantizer.kind = {quantizer.kind!r}: the released layout supports only 'split' with 'fsq'")
    levels = quantizer.acoustic.codebook_sizes
    if len(set(levels)) > 1:
        raise ValueError(f"quantizer.acoustic.levels = {levels}: the released layout supports one number for all")
    args: dict[str, Any] = {
        "channels": 1,
        "sampling_rate": config.sample_rate,
        "pretransform_patch_size": config.patch_size,
        "patch_proj_kernel_size": config.proj_kernel_size,
        "semantic_codebook_size": quantizer.semantic.codebook_size,
        "semantic_dim": quantizer.semantic.dim,
        "acoustic_codebook_size": levels[0],
        "acoustic_dim": quantizer.acoustic.n_channels,
        "conv_weight_norm": config.proj_weight_norm,
        "causal": True,
        "attn_sliding_window_size": config.windows[0],
        "half_attn_window_upon_downsampling": len(set(config.windows)) > 1,
        "qk_norm": True,
        "use_biases": False,
        "layer_scale": True,
        "layer_scale_init": config.layer_scale_init,
        "encoder_transformer_lengths_str": _text(config.encoder_layers),
        "encoder_convs_kernels_str": _text(config.kernel_sizes),
        "encoder_convs_strides_str": _text(config.strides),
        "decoder_transformer_lengths_str": _text(config.decoder_layers),
        "decoder_convs_kernels_str": _text(config.kernel_sizes[::-1]),
        "decoder_convs_strides_str": _text(config.strides[::-1]),
    }
    for key in _SAME_NAMES:
        args[key] = getattr(config, key)
    params = {"model_type": "voxtral_tts", "multimodal": {"audio_tokenizer_args": args}}
    if config_from_params(params).windows != config.windows:
        raise ValueError(
            f"windows = {config.windows}: the released layout supports only windows that follow the strides"
        )
    return params


def _layers(config: CodecConfig, with_encoder: bool) -> Iterator[_Layer]:
    """List the layers of our stacks with the names of their tensors in the release."""
    kernel_sizes, strides = config.kernel_sizes, config.strides
    if with_encoder:
        index, block = 1, 0
        yield _Layer("_encoder.stack.layers.0.", "input_proj.", "conv", weight_norm=config.proj_weight_norm)
        for i, n_layers in enumerate(config.encoder_layers):
            for j in range(n_layers):
                yield _Layer(f"_encoder.stack.layers.{index + j}.", f"encoder_blocks.{block}.layers.{j}.", "block")
            index, block = index + n_layers, block + 1
            if i + 1 == len(strides) or (kernel_sizes[i], strides[i]) != (1, 1):
                yield _Layer(f"_encoder.stack.layers.{index}.", f"encoder_blocks.{block}.", "conv")
                index, block = index + 1, block + 1

    kernel_sizes, strides = kernel_sizes[::-1], strides[::-1]
    index, block = 1, 1
    yield _Layer("decoder.stack.layers.0.", "decoder_blocks.0.", "conv")
    for i, n_layers in enumerate(config.decoder_layers):
        for j in range(n_layers):
            yield _Layer(f"decoder.stack.layers.{index + j}.", f"decoder_blocks.{block}.layers.{j}.", "block")
        index, block = index + n_layers, block + 1
        if i + 1 < len(strides) and (kernel_sizes[i + 1], strides[i + 1]) != (1, 1):
            yield _Layer(f"decoder.stack.layers.{index}.", f"decoder_blocks.{block}.", "transpose", strides[i + 1])
            index, block = index + 1, block + 1
    yield _Layer(f"decoder.stack.layers.{index}.", "output_proj.", "conv", weight_norm=config.proj_weight_norm)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file; raises CheckpointError if it is unreadable."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error


def require(args: dict[str, Any], values: dict[str, Any]) -> None:
    """Check that settings, if given, have these values; raises ValueError for the first other one."""
    for key, value in values.items():
        if args.get(key, value) != value:
            raise ValueError(f"{key} = {args[key]!r} is not supported, only {value!r}")


def ints(text: str) -> tuple[int, ...]:
    """Parse a list of the release, a string; raises ValueError for anything else."""
    try:
        return tuple(int(part) for part in text.split(","))
    except (AttributeError, ValueError) as error:
        raise ValueError(f"{text!r}: expected a string of comma-separated integers") from error


def _text(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))
