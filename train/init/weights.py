"""Which weights a codec starts with: fresh ones, those of a checkpoint, or a fresh encoder beside those."""

from __future__ import annotations

from codec.checkpoint.store import check_tensors
from codec.model import Codec

FRESH = ("transform", "random")


def encoder_start(init: str, init_encoder: str, original: Codec | None) -> str:
    """How the encoder starts, one of `FRESH`, or empty for the weights of `original`, the checkpoint `init` if any.

    Raises:
        ValueError: `init_encoder` is neither empty nor one of `FRESH`, or there is no checkpoint for the rest.
    """
    if init_encoder and (original is None or init_encoder not in FRESH):
        choice = "give a checkpoint as model.init" if original is None else f"expected {' or '.join(FRESH)}"
        raise ValueError(f"model.init_encoder = {init_encoder!r}: {choice}, or leave it empty")
    if original is None:
        return init
    return init_encoder or ("" if original.has_encoder else FRESH[0])


def copy_weights(codec: Codec, original: Codec, name: str, with_encoder: bool) -> None:
    """Give `codec` the weights of `original`, which is called `name`; without its encoder's, `codec` keeps its own.

    Raises:
        CheckpointError: they are of another architecture.
    """
    ours, theirs = (
        {key: t for key, t in c.state_dict().items() if with_encoder or not key.startswith("_encoder.")}
        for c in (codec, original)
    )
    check_tensors(f"model.init = {name!r}", ours, theirs)
    codec.load_state_dict(codec.state_dict() | theirs)
