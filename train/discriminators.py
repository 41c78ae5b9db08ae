"""Discriminators that tell speech from its reconstruction by complex spectra of several resolutions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from train.losses.adversarial import Maps
from train.losses.reconstruction import complex_stft


@dataclass
class DiscriminatorConfig:
    """The paper's eight resolutions and 256 channels; small runs take fewer of both.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    fft_sizes: tuple[int, ...] = (2296, 1418, 876, 542, 334, 206, 126, 76)  # samples
    channels: int = 256

    def __post_init__(self) -> None:
        self.fft_sizes = tuple(self.fft_sizes)
        if not self.fft_sizes or min(self.fft_sizes) < 16:
            raise ValueError(f"fft_sizes = {self.fft_sizes}: expected one or more sizes of at least 16 samples")
        if self.channels < 1:
            raise ValueError(f"channels = {self.channels}: expected at least 1")


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

    def forward(self, waveform: Tensor) -> Maps:
        """Waveforms `[B, L]` -> the activations of each discriminator."""
        return [discriminator(waveform) for discriminator in self.discriminators]


def split_maps(maps: Maps) -> tuple[Maps, Maps]:
    """The activations of the two halves of a batch."""
    halves = [[tuple(x.chunk(2)) for x in scale] for scale in maps]
    return [[a for a, _ in scale] for scale in halves], [[b for _, b in scale] for scale in halves]
