"""Initial weights of a codec: fresh ones, those of a checkpoint, or a fresh encoder with a checkpoint's decoder."""

from __future__ import annotations

from codec.checkpoint.store import check_tensors
from codec.model import Codec

FRESH = ("transform", "random")


def encoder_start(init: str, init_encoder: str, original: Codec | None) -> str:
    """Initialisation of the encoder: one of `FRESH`, or empty for the weights of `original`, the checkpoint `init`.

    Raises:
        ValueError: `init_encoder` is neither empty nor one of `FRESH`, or `init` is no checkpoint.
    """
    if init_encoder and (original is None or init_encoder not in FRESH):
        choice = "give a checkpoint as model.init" if original is None else f"expected {' or '.join(FRESH)}"
        raise ValueError(f"model.init_encoder = {init_encoder!r}: {choice}, or leave it empty")
    if original is None:
        return init
    return init_encoder or ("" if original.has_encoder else FRESH[0])


def copy_weights(codec: Codec, original: Codec, name: str, with_encoder: bool) -> None:
    """Copy the weights of `original`, called `name`, to `codec`, with or without the encoder's.

    Raises:
        CheckpointError: another architecture.
    """
    ours, theirs = (
        {key: t for key, t in c.state_dict().items() if with_encoder or not key.startswith("_encoder.")}
        for c in (codec, original)
    )
    check_tensors(f"model.init = {name!r}", ours, theirs)
    codec.load_state_dict(codec.state_dict() | theirs)
