"""Discriminators that tell speech from its reconstruction by complex spectra of several resolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from codec.config import require
from train.losses.adversarial import Maps
from train.losses.reconstruction import complex_stft


@dataclass
class DiscriminatorConfig:
    """The paper's eight resolutions and 256 channels; small runs take fewer of both.

    A step may show the discriminators less: some resolutions, drawn for each, and a crop of each clip. The gradient is
    that of the whole loss in the mean, at a fraction of the cost.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    fft_sizes: tuple[int, ...] = (2296, 1418, 876, 542, 334, 206, 126, 76)  # samples; a discriminator each
    channels: int = 256  # of each convolution
    n_sampled: int = 0  # resolutions in a step; 0: all
    crop_s: float = 0.0  # seconds of each clip in a step; 0: all of it

    def __post_init__(self) -> None:
        self.fft_sizes = tuple(self.fft_sizes)
        good = min(self.fft_sizes, default=0) >= 16
        require(good, "fft_sizes", self.fft_sizes, "one or more sizes of at least 16 samples")
        require(self.channels >= 1, "channels", self.channels, "at least 1")
        good = 0 <= self.n_sampled <= len(self.fft_sizes)
        require(good, "n_sampled", self.n_sampled, "0 to the number of fft_sizes")
        require(self.crop_s >= 0, "crop_s", self.crop_s, "0 or more")


class STFTDiscriminator(nn.Module):
    """2-D convolutions over a complex spectrogram, with growing dilation in time (EnCodec, section 3.4)."""

    window: Tensor

    def __init__(self, fft_size: int, channels: int) -> None:
        super().__init__()
        window = torch.hann_window(fft_size)
        self.register_buffer("window", window / window.norm(), persistent=False)
        layers = [nn.Conv2d(2, channels, (3, 9), padding=(1, 4))]
        for dilation in (1, 2, 4):
            padding = (dilation, 4)
            layers.append(nn.Conv2d(channels, channels, (3, 9), (1, 2), padding, dilation=(dilation, 1)))
        layers.append(nn.Conv2d(channels, channels, 3, padding=1))
        layers.append(nn.Conv2d(channels, 1, 3, padding=1))
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """Waveforms `[B, L]` -> activations of every layer, `[B, C, T, F]`; the last are the logits."""
        x = rearrange(complex_stft(waveform, self.window), "b f t c -> b c t f")
        maps = []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return [*maps, self.layers[-1](x)]


class Discriminators(nn.Module):
    """One discriminator for each FFT size."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(STFTDiscriminator(size, config.channels) for size in config.fft_sizes)

    def forward(self, waveform: Tensor, chosen: Sequence[int] | None = None) -> Maps:
        """Waveforms `[B, L]` -> the activations of each discriminator, or of those with the numbers in `chosen`."""
        chosen = range(len(self.discriminators)) if chosen is None else chosen
        maps = [self.discriminators[i](waveform) for i in chosen]
        # Connected to every parameter: DDP waits for all gradients.
        idle = [p for i, d in enumerate(self.discriminators) if i not in chosen for p in d.parameters()]
        maps[0][-1] = maps[0][-1] + sum(0 * p.sum() for p in idle)
        return maps


def split_maps(maps: Maps) -> tuple[Maps, Maps]:
    """The activations of the two halves of a batch."""
    halves = [[tuple(x.chunk(2)) for x in scale] for scale in maps]
    return [[a for a, _ in scale] for scale in halves], [[b for _, b in scale] for scale in halves]
