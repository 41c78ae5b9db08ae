"""Quantizers: latents to codes and back, interchangeable behind `base.Quantizer`."""

from codec.quant.fsq import FSQConfig
from codec.quant.residual import ResidualVQConfig
from codec.quant.split import SplitConfig

AnyQuantizerConfig = SplitConfig | FSQConfig | ResidualVQConfig  # by `kind`; the first is the default
