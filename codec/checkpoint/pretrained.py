"""Codecs as `codec.hf` saves them: our config in a field of transformers', and a prefix before the names of tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from codec.checkpoint.store import CONFIG, WEIGHTS, checked, read_tensors
from codec.config import CodecConfig

MODEL_TYPE = "codec37"  # in transformers' config
FIELD = "codec"  # field of that config with ours, attribute of the model with ours


def is_pretrained(folder: Path) -> bool:
    """Whether transformers wrote the checkpoint folder, of a codec of this library."""
    return (folder / CONFIG).is_file() and _fields(folder).get("model_type") == MODEL_TYPE


def read_pretrained(folder: Path) -> tuple[CodecConfig, dict[str, Tensor]]:
    """Read config and tensors, as of `Codec`.

    Raises:
        CheckpointError: a file is missing, unreadable or invalid.
    """
    with checked(folder / CONFIG):
        config = CodecConfig.from_json(json.dumps(_fields(folder).get(FIELD)))
    state, _ = read_tensors(folder / WEIGHTS)
    return config, {name.removeprefix(f"{FIELD}."): tensor for name, tensor in state.items()}


def _fields(folder: Path) -> dict[str, Any]:
    """Fields of the config; none if it is damaged, which its reader reports."""
    try:
        fields = json.loads((folder / CONFIG).read_text())
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
