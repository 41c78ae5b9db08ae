"""Tiny codecs for tests, seeded and in eval mode."""

from pathlib import Path

import torch
from torch import nn

from codec.config import preset
from codec.model import Codec
from codec.nn.product import Product

GOLDEN = Path(__file__).parent / "golden"

# Each differs from the released shape where an implementation is likely to have it hard-coded.
CONFIGS = {
    "12.5 Hz": {},
    "6.25 Hz": {
        "strides": (2, 2, 2, 2, 1),
        "kernel_sizes": (4, 4, 4, 4, 3),
        "windows": (16, 8, 4, 2, 2),
        "encoder_layers": (1, 1, 1, 1, 1),
        "decoder_layers": (1, 1, 1, 1, 1),
    },
    "25 Hz": {
        "strides": (2, 2, 1),
        "kernel_sizes": (4, 4, 3),
        "windows": (20, 9, 3),
        "encoder_layers": (1, 0, 1),
        "decoder_layers": (1, 1, 0),
    },
    "50 Hz": {
        "strides": (2, 1),
        "kernel_sizes": (6, 1),
        "windows": (5, 1),
        "encoder_layers": (1, 1),
        "decoder_layers": (1, 1),
    },
    "source filter": {
        "front": "spectrum",
        "head": "source_filter",
        "envelope_bands": 16,
        "periodicity_bands": 4,
        "strides": (4, 2, 1),
        "kernel_sizes": (8, 4, 3),
        "windows": (3, 5, 4),
        "encoder_layers": (0, 1, 1),
        "decoder_layers": (1, 1, 0),
    },
    "16 kHz": {
        "sample_rate": 16_000,
        "patch_size": 160,
        "strides": (3, 1, 2, 1),
        "kernel_sizes": (6, 1, 2, 2),
        "n_heads": 6,
        "n_kv_heads": 3,
        "head_dim": 5,
        "quantizer": {"acoustic": {"n_channels": 3, "levels": (5, 8, 3)}},
    },
    "fsq": {"quantizer": {"kind": "fsq", "n_channels": 6}},
    "residual vq": {"quantizer": {"kind": "residual_vq", "n_q": 5, "codebook_size": 16, "dim": 12}},
}

# Graphs of these take little time to trace: the front and head of the default, and those of patches. Tracing a
# transformer block takes a third of it: the decoder of one and the encoder of the other has one, after a stage without.
FEW_LAYERS = {
    "strides": (8, 1),
    "kernel_sizes": (16, 3),
    "windows": (4, 2),
    "encoder_layers": (0, 0),
    "decoder_layers": (0, 0),
}
SMALL_GRAPHS = {
    "source filter": {**CONFIGS["source filter"], **FEW_LAYERS, "decoder_layers": (1, 0)},
    "patches": {**FEW_LAYERS, "encoder_layers": (0, 1)},
}
# A decoder of one stage without blocks, whose streams begin with one frame.
SMALLEST_GRAPH = {
    "proj_kernel_size": 1,
    **{name: (1,) for name in ("strides", "kernel_sizes", "windows")},
    **{name: (0,) for name in ("encoder_layers", "decoder_layers")},
}


def make_codec(name: str = "12.5 Hz", seed: int = 0, **changes: object) -> Codec:
    """A tiny codec whose layers all matter and whose codes vary.

    LayerScale is near 1, so that no branch hides below a tolerance, and latents have about unit variance.
    """
    torch.manual_seed(seed)
    model = Codec(preset("tiny", layer_scale_init=0.5, **{**CONFIGS[name], **changes})).eval().requires_grad_(False)
    last = model.encoder.stack.layers[-1].weight
    last /= model.latents(0.1 * torch.randn(1, 20 * model.config.hop_length)).std()
    return model


def in_halves(module: nn.Module) -> nn.Module:
    """`module` with weights that float16 holds exactly, as those on disk are."""
    module.requires_grad_(False)
    for layer in module.modules():
        if isinstance(layer, Product):
            layer.weight.copy_(layer.weight.half().float())
    return module
