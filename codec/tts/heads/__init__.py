"""Heads that turn a hidden state into a frame's acoustic codes, interchangeable behind `base.AcousticHead`."""

from collections.abc import Callable
from functools import partial

from codec.tts.config import TransformerConfig, TTSConfig
from codec.tts.heads.base import AcousticHead
from codec.tts.heads.depth import DepthHead
from codec.tts.heads.flow import FlowHead
from codec.tts.heads.maskgit import MaskGITHead


def make_head(config: TTSConfig) -> AcousticHead:
    """The head that `config` names, randomly initialised."""
    kinds: dict[str, Callable[[TransformerConfig, int, int], AcousticHead]] = {
        "flow": partial(FlowHead, scale=config.acoustic_scale),
        "depth": DepthHead,
        "maskgit": MaskGITHead,
    }
    return kinds[config.head](config.head_transformer, config.acoustic_dim, config.acoustic_levels)
