"""Discriminators of speech and reconstructions: on complex spectra, whole or in bands, and on periods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from train.losses.config import DiscriminatorConfig
from train.losses.reconstruction import complex_stft

Maps = list[list[Tensor]]  # per discriminator, the activations of every layer; the last are the logits
BANDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # edges as in DAC, as shares of half the sample rate
MAX_PERIOD_CHANNELS = 1024


class STFTDiscriminator(nn.Module):
    """2-D convolutions over a complex spectrogram, with growing dilation in time (EnCodec, section 3.4)."""

    window: Tensor

    def __init__(self, fft_size: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("window", _window(fft_size), persistent=False)
        layers = [nn.Conv2d(2, channels, (3, 9), padding=(1, 4))]
        for dilation in (1, 2, 4):
            padding = (dilation, 4)
            layers.append(nn.Conv2d(channels, channels, (3, 9), (1, 2), padding, dilation=(dilation, 1)))
        layers.append(nn.Conv2d(channels, channels, 3, padding=1))
        layers.append(nn.Conv2d(channels, 1, 3, padding=1))
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """Waveforms `[B, L]` -> activations of every layer, `[B, C, T, F]`; the last are the logits."""
        maps = _activations(self.layers[:-1], rearrange(complex_stft(waveform, self.window), "b f t c -> b c t f"))
        return [*maps, self.layers[-1](maps[-1])]


class BandDiscriminator(nn.Module):
    """2-D convolutions over each band of a complex spectrogram, and over their joined outputs (DAC, section 3.4)."""

    window: Tensor

    def __init__(self, fft_size: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("window", _window(fft_size), persistent=False)
        self.edges = [round(edge * (fft_size // 2 + 1)) for edge in BANDS]
        self.bands = nn.ModuleList(nn.Sequential(*self._make_band(channels)) for _ in BANDS[1:])
        self.output = weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    @staticmethod
    def _make_band(channels: int) -> list[nn.Module]:
        layers = [nn.Conv2d(2, channels, (3, 9), padding=(1, 4))]
        layers += [nn.Conv2d(channels, channels, (3, 9), (1, 2), (1, 4)) for _ in range(3)]
        layers.append(nn.Conv2d(channels, channels, 3, padding=1))
        return [weight_norm(layer) for layer in layers]

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """Waveforms `[B, L]` -> activations of every layer of every band, `[B, C, T, F]`; the last are the logits."""
        x = rearrange(complex_stft(waveform, self.window), "b f t c -> b c t f")
        bands = x.tensor_split(self.edges[1:-1], dim=3)
        maps = [_activations(layers.children(), band) for layers, band in zip(self.bands, bands, strict=True)]
        logits = self.output(torch.cat([band[-1] for band in maps], dim=3))
        return [*(x for band in maps for x in band), logits]


class PeriodDiscriminator(nn.Module):
    """2-D convolutions over the waveform folded to rows of `period` samples (HiFi-GAN, section 2.3)."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = period
        widths = [1, *(min(channels * 4**i, MAX_PERIOD_CHANNELS) for i in range(4))]
        layers = [nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0)) for a, b in pairwise(widths)]
        layers.append(nn.Conv2d(widths[-1], widths[-1], (5, 1), padding=(2, 0)))
        layers.append(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """Waveforms `[B, L]` -> activations of every layer, `[B, C, T, period]`; the last are the logits."""
        x = F.pad(waveform, (0, -waveform.shape[1] % self.period))
        maps = _activations(self.layers[:-1], rearrange(x, "b (t p) -> b 1 t p", p=self.period))
        return [*maps, self.layers[-1](maps[-1])]


class Discriminators(nn.Module):
    """The discriminators of a config: on spectra, then periods, then bands."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        kinds = (
            (STFTDiscriminator, config.fft_sizes),
            (PeriodDiscriminator, config.periods),
            (BandDiscriminator, config.band_fft_sizes),
        )
        self.discriminators = nn.ModuleList(kind(size, config.channels) for kind, sizes in kinds for size in sizes)

    def forward(self, waveform: Tensor, chosen: Sequence[int] | None = None) -> Maps:
        """Waveforms `[B, L]` -> activations of each discriminator, or of the `chosen` ones, by number."""
        chosen = range(len(self.discriminators)) if chosen is None else chosen
        maps = [self.discriminators[i](waveform) for i in chosen]
        # DDP needs gradients of all parameters.
        idle = [p for i, d in enumerate(self.discriminators) if i not in chosen for p in d.parameters()]
        maps[0][-1] = maps[0][-1] + sum(0 * p.sum() for p in idle)
        return maps


def split_maps(maps: Maps) -> tuple[Maps, Maps]:
    """Split the activations of a batch into its two halves."""
    halves = [[tuple(x.chunk(2)) for x in scale] for scale in maps]
    return [[a for a, _ in scale] for scale in halves], [[b for _, b in scale] for scale in halves]


def _window(size: int) -> Tensor:
    window = torch.hann_window(size)
    return window / window.norm()


def _activations(layers: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """Outputs of all layers, applied in order."""
    maps = []
    for layer in layers:
        x = F.leaky_relu(layer(x), 0.2)
        maps.append(x)
    return maps
