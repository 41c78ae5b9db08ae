"""Heads that turn a hidden state into a frame's acoustic codes, interchangeable behind `base.AcousticHead`."""

from collections.abc import Callable
from functools import partial

from codec.settings import require
from codec.tts.config import TransformerConfig, TTSConfig
from codec.tts.heads.base import AcousticHead
from codec.tts.heads.depth import DepthHead
from codec.tts.heads.flow import FlowHead
from codec.tts.heads.maskgit import MaskGITHead

HEADS: dict[str, Callable[[TTSConfig], Callable[[TransformerConfig, int, int], AcousticHead]]] = {
    "flow": lambda config: partial(FlowHead, scale=config.acoustic_scale),
    "depth": lambda config: DepthHead,
    "maskgit": lambda config: MaskGITHead,
}


def make_head(config: TTSConfig) -> AcousticHead:
    """The head that `config` names, randomly initialised.

    Raises:
        ValueError: there is no such head.
    """
    require(config.head in HEADS, "head", config.head, f"one of {', '.join(HEADS)}")
    return HEADS[config.head](config)(config.head_transformer, config.acoustic_dim, config.acoustic_levels)
