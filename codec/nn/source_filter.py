"""A decoder head that synthesizes speech by filtering pulses and noise, a source-filter model.

For each patch the network predicts the spectral envelope and the periodicity of bands; the pitch is predicted from the
codes. The synthesis has no weights: pulses at that pitch, noise from a fixed table, and two filters, interpolated from
the previous patch to the current one. The phase comes from oscillator and filters, so codes need not carry it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.audio.bands import band_middles, envelope_basis, minimum_phase
from codec.autocast import full_precision
from codec.nn.state import Span

FFT_S = 0.0425  # window of the filters, with a patch at its end; limits their responses
NOISE_PATCHES = 512  # period of the noise, 5 s
PITCH_HZ = (50.0, 600.0)
PHASE_STEPS = 2**24  # per cycle: integers exact in float32, so sums do not depend on chunks


class Controls(NamedTuple):
    """Inputs of the synthesis, at the end of each patch."""

    gain: Tensor  # [B, T, n_bands] natural log of the amplitude density, 0 for white noise of variance 1
    periodicity: Tensor  # [B, T, n_periodic] logit of the periodic share of the power
    log_f0: Tensor  # [B, T] float64, octaves above 1 Hz


class PitchReader(nn.Module):
    """Latents `[B, T, D]` to the pitch `[B, T * n_patches]`, log2 of Hz: a linear layer plus a small network.

    The phase is the sum of the pitch over the whole past, so rounding errors that depend on the chunks of a stream
    would accumulate. Quantized latents have no such errors: the pitch is computed from those of this frame and the last
    alone, in float64.
    """

    mean: Tensor  # scalar, of speech; set by `train.init.transform`

    def __init__(self, dim: int, n_patches: int, hidden_dim: int = 64) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, n_patches, bias=False)
        self.hidden = nn.Linear(2 * dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, n_patches, bias=False)
        nn.init.zeros_(self.out.weight)
        self.register_buffer("mean", torch.tensor(7.3))
        self.tail_shape = (1, dim)

    def forward(self, z: Tensor, tail: Tensor, span: Span) -> tuple[Tensor, Tensor]:
        with full_precision(z):
            z = torch.cat([span.past(tail, z[:, :1].float()), z.float()], dim=1).double()
            before, now = z[:, :-1], z[:, 1:]
            hidden = F.linear(torch.cat([before, now], dim=2), self.hidden.weight.double(), self.hidden.bias.double())
            weight = torch.cat([self.linear.weight, self.out.weight], dim=1).double()
            y = F.linear(torch.cat([now, hidden.tanh()], dim=2), weight)
            return (y + self.mean).flatten(1), now[:, -1:].float()


class SourceFilter(nn.Module):
    """Standardised controls `[B, T, in_dim]` and pitch `[B, T]` to patches `[B, T, patch_size]`.

    Exact in streams: the state is the phase and the last pulses, pitch and controls. The oscillator passes no gradient;
    pitch has its own loss. Always float32, the pitch float64.
    """

    mean: Tensor  # [in_dim], of the controls of speech; set by `train.init.transform`
    deviation: Tensor  # [in_dim]
    response: Tensor  # [n_bands, 2 * F], from gains to log magnitudes and phases
    spread: Tensor  # [n_periodic, n_bands]
    inverse: Tensor  # [F * 2, patch_size], from spectra to the patch at their end
    noise: Tensor  # [NOISE_PATCHES, F, 2], spectra of the noise around each patch
    times: Tensor  # [patch_size] float64, when the samples of a patch begin, in [0, 1)
    middles: Tensor  # [patch_size], between these

    def __init__(self, patch_size: int, sample_rate: int, n_bands: int, n_periodic: int) -> None:
        super().__init__()
        self.patch_size, self.sample_rate = patch_size, sample_rate
        self.sizes = (n_bands, n_periodic)
        self.in_dim = sum(self.sizes)
        n_fft = 1 << (round(FFT_S * sample_rate) - 1).bit_length()
        self.n_past = n_fft - patch_size  # samples of the sources before a patch
        self.tail_shape = (self.n_past + self.in_dim + 3, 1)  # pulses, controls, pitch in two parts, phase

        middles = band_middles(n_bands, sample_rate)
        envelope = envelope_basis(middles, np.fft.rfftfreq(n_fft, 1 / sample_rate))
        self._register("response", np.concatenate([envelope, minimum_phase(envelope)]).T)
        wide = band_middles(n_periodic, sample_rate)
        self._register("spread", envelope_basis(wide, middles).T)  # to the bands of the envelope
        parts = np.multiply.outer(np.eye(n_fft // 2 + 1), [1, 1j]).swapaxes(1, 2)  # [F, 2, F]
        self._register("inverse", np.fft.irfft(parts)[..., -patch_size:].reshape(-1, patch_size))
        noise = torch.from_numpy(_noise(NOISE_PATCHES * patch_size)).float()
        around = torch.cat([noise[-self.n_past :], noise]).unfold(0, n_fft, patch_size)
        self.register_buffer("noise", torch.view_as_real(torch.fft.rfft(around)), persistent=False)
        samples = torch.arange(patch_size, dtype=torch.float64)
        self.register_buffer("times", samples / patch_size, persistent=False)
        self.register_buffer("middles", ((samples + 0.5) / patch_size).float(), persistent=False)
        self.register_buffer("mean", torch.zeros(self.in_dim))
        self.register_buffer("deviation", torch.ones(self.in_dim))

    def _register(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(values).float().contiguous(), persistent=False)

    def controls(self, x: Tensor, log_f0: Tensor) -> Controls:
        """Scale standardised controls `[B, T, in_dim]` to physical units, with the pitch."""
        gain, periodicity = torch.addcmul(self.mean, x.float(), self.deviation).split(self.sizes, dim=2)
        return Controls(gain, periodicity, log_f0)

    def forward(self, x: Tensor, log_f0: Tensor, tail: Tensor, span: Span) -> tuple[Tensor, Tensor]:
        with full_precision(x):
            x, log_f0 = x.float(), log_f0.detach()
            pulses, before, pitch, phase = tail[..., 0].split((self.n_past, self.in_dim, 2, 1), dim=1)
            pitch = pitch.double().sum(1, keepdim=True)
            if not span.steady:
                fresh = span.fresh[..., 0]
                pulses, phase = pulses.masked_fill(fresh, 0), phase.masked_fill(fresh, 0)
                before, pitch = torch.where(fresh, x[:, 0], before), torch.where(fresh, log_f0[:, :1], pitch)
            x, log_f0 = torch.cat([before[:, None], x], dim=1), torch.cat([pitch, log_f0], dim=1)
            gain, periodicity, _ = self.controls(x, log_f0)
            new_pulses, phase = self._oscillate(log_f0, phase)
            pulses = torch.cat([pulses, new_pulses], dim=1)
            y = self._filter(gain, periodicity.contiguous() @ self.spread, pulses, span)
            pulses, pitch = pulses[:, -self.n_past :], log_f0[:, -1:]
            high = pitch.float()
            tail = torch.cat([pulses, x[:, -1], high, (pitch - high).float(), phase], dim=1)[..., None]
        return y, tail

    def _oscillate(self, log_f0: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """Pulses `[B, T * P]` for pitches `[B, 1 + T]` and a start phase `[B, 1]` in steps; also the phase at the end.

        A pulse train with power 1 per Hz of bandwidth: all harmonics in the band, summed in closed form; the highest
        fades in.
        """
        size, rate = self.patch_size, self.sample_rate
        f0 = log_f0.exp2().clamp(*PITCH_HZ)
        old, new = f0[:, :-1], f0[:, 1:]
        steps = (old + new) * (size * PHASE_STEPS) / (2 * rate)  # integers, as ONNX files round factors to float32
        starts = torch.cat([phase.long(), steps.round().long()], dim=1).cumsum(1) % PHASE_STEPS
        old, new = old[..., None], new[..., None]
        now = torch.lerp(old, new, self.times)  # [B, T, P] Hz
        at = starts[:, :-1, None].double() / PHASE_STEPS + (old + now) * self.times * size / (2 * rate)  # cycles
        half = ((at - at.round()).float().abs() * math.pi).clamp(min=1e-4)  # the quotient below is flat around 0
        now = now.float()
        n_cosines = (0.98 * rate / 2) / now
        whole = n_cosines.floor()
        angle = torch.addcmul(half, whole, half, value=2)
        pulses = angle.sin() / half.sin() - 1
        pulses = torch.addcmul(pulses, n_cosines - whole, (angle + half).cos(), value=2)
        return (pulses * (now / rate).sqrt()).flatten(1), starts[:, -1:].float()

    def _filter(self, gain: Tensor, periodicity: Tensor, pulses: Tensor, span: Span) -> Tensor:
        """Filter both sources to patches `[B, T, P]`; filters change from the previous patch to the current."""
        steps, size = gain.shape[1] - 1, self.patch_size
        voice = torch.view_as_real(torch.fft.rfft(pulses.unfold(1, self.n_past + size, size)))
        patches = span.seen[:, None] + torch.arange(steps, device=gain.device)
        sources = torch.stack([voice, self.noise[patches % NOISE_PATCHES]], dim=1)  # [B, 2, T, F, 2]
        losses = F.softplus(torch.stack([-periodicity, periodicity], dim=1))  # -log power of voice and noise
        filters = self._response(torch.sub(gain[:, None], losses, alpha=0.5))  # [B, 2, 1 + T, F, 2]
        ends = torch.stack([filters[:, :, :-1], filters[:, :, 1:]], dim=1)  # [B, 2, 2, T, F, 2], before and after
        before, after = self._patch(_product(sources[:, None], ends).sum(2)).unbind(1)
        return torch.lerp(before, after, self.middles)

    def _patch(self, spectra: Tensor) -> Tensor:
        """Spectra `[..., F, 2]` to the patch at the end of each, `[..., P]`."""
        if torch.compiler.is_compiling():  # ONNX Runtime supports this transform only lately, and slowly
            return spectra.flatten(-2) @ self.inverse
        return torch.fft.irfft(torch.view_as_complex(spectra))[..., -self.patch_size :]

    def _response(self, gain: Tensor) -> Tensor:
        """Log gains `[..., n_bands]` to the minimum-phase filter of that envelope, `[..., F, 2]`."""
        magnitude, phase = (gain @ self.response).chunk(2, dim=-1)
        magnitude = magnitude.exp()
        if not torch.compiler.is_compiling():
            return torch.view_as_real(torch.polar(magnitude, phase))
        return torch.stack([magnitude * phase.cos(), magnitude * phase.sin()], dim=-1)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Product of complex numbers `[..., 2]`."""
    if not torch.compiler.is_compiling():  # graphs have no complex numbers
        return torch.view_as_real(torch.view_as_complex(a) * torch.view_as_complex(b))
    return torch.stack(
        [a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1], a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]], -1
    )


def _noise(n: int) -> np.ndarray:
    """White noise `[n]` of variance 1, uniform, from hashes of positions: the same on every machine."""
    x = np.arange(1, n + 1, dtype=np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    x ^= x >> np.uint64(31)
    return (x.astype(np.float64) / 2**64 - 0.5) * math.sqrt(12)
