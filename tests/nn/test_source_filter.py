"""Pulses and noise through filters: what comes out has the pitch, the envelope and the mixture that were asked for."""

import math

import pytest
import torch

from codec.nn.source_filter import NOISE_PATCHES, PitchReader, SourceFilter
from codec.nn.state import Span

RATE, PATCH, BANDS, PERIODIC = 24_000, 240, 32, 4
HEAD = SourceFilter(PATCH, RATE, BANDS, PERIODIC)


def controls(n, gain=-3.0, periodicity=10.0, hz=200.0):
    x = torch.full((1, n, BANDS + PERIODIC), gain)
    x[..., BANDS:] = periodicity
    return x, torch.full((1, n), math.log2(hz), dtype=torch.float64)


def run(x, log_f0, chunks=None):
    """Waveform `[L]`, in chunks of given numbers of patches."""
    tail, seen, parts = torch.zeros(1, *HEAD.tail_shape), 0, []
    for part, pitch in zip(
        x.split(chunks or x.shape[1], dim=1), log_f0.split(chunks or x.shape[1], dim=1), strict=True
    ):
        y, tail = HEAD(part, pitch, tail, Span(torch.tensor([seen]), None))
        parts.append(y)
        seen += part.shape[1]
    return torch.cat(parts, dim=1).flatten()


def spectrum(y):
    """Power at 0 to 12 kHz in steps of 10 Hz."""
    return torch.fft.rfft(y[-2400:] * torch.hann_window(2400)).abs().square()


@pytest.mark.parametrize("hz", [80.0, 217.0, 400.0])
def test_harmonics_are_where_the_pitch_says(hz):
    power = spectrum(run(*controls(60, hz=hz)))
    for k in range(1, 10):
        at = round(k * hz / 10)
        assert power[at - 1 : at + 2].max() > 30 * power[round((k + 0.5) * hz / 10)]


def test_both_sources_have_the_density_that_is_asked_for():
    """White noise of variance 1 has the log amplitude 0; a voice of as much power too, whatever its pitch."""
    for periodicity, hz in ((-10.0, 100.0), (10.0, 100.0), (10.0, 330.0), (0.0, 200.0)):
        y = run(*controls(200, math.log(0.1), periodicity, hz))
        assert y[4800:].square().mean().sqrt() == pytest.approx(0.1, rel=0.08)


def test_envelope_is_followed():
    x, log_f0 = controls(100, periodicity=-10.0)
    x[..., : BANDS // 2] += 2.0
    y = run(x, log_f0)
    power = spectrum(y) + spectrum(y[:-2400]) + spectrum(y[:-4800]) + spectrum(y[:-7200])
    ratio = power[20:120].mean() / power[500:1100].mean()
    assert 10 * torch.log10(ratio) == pytest.approx(2.0 * 20 / math.log(10), abs=1.5)


def test_chunks_change_nothing_after_a_minute():
    """The phase is the sum of all pitches: rounding errors that depended on chunks would add up."""
    n = 6000
    generator = torch.Generator().manual_seed(0)
    x = controls(n)[0] + 0.3 * torch.randn(1, n, BANDS + PERIODIC, generator=generator)
    log_f0 = 7.5 + torch.randn(1, n, generator=generator, dtype=torch.float64).cumsum(1) * 0.01
    whole = run(x, log_f0)
    for chunks in (8, 1000, [1, 7, 5992]):
        torch.testing.assert_close(run(x, log_f0, chunks), whole, atol=1e-5, rtol=0)


def test_noise_is_white_and_repeats_late():
    y = run(*controls(2 * NOISE_PATCHES, 0.0, -20.0))
    period = NOISE_PATCHES * PATCH
    torch.testing.assert_close(y[period + 2400 :], y[2400:period], atol=1e-4, rtol=0)
    first = y[2400:period]
    for lag in (1, 7, 240, 1920):
        assert abs((first[lag:] * first[:-lag]).mean()) < 0.02


def test_no_gradient_passes_the_oscillator():
    x, log_f0 = controls(8)
    x.requires_grad_(), log_f0.requires_grad_()
    run(x, log_f0).square().sum().backward()
    assert x.grad.abs().sum() > 0
    assert log_f0.grad is None


def test_pitch_depends_on_two_frames_alone_to_the_last_bit():
    torch.manual_seed(0)
    reader = PitchReader(16, 8)
    torch.nn.init.normal_(reader.out.weight)
    z = torch.randn(1, 50, 16)
    whole, _ = reader(z, torch.zeros(1, *reader.tail_shape), Span(torch.tensor([0]), None))
    assert whole.dtype == torch.float64
    tail, parts = torch.zeros(1, *reader.tail_shape), []
    for i, chunk in enumerate(z.split(1, dim=1)):
        y, tail = reader(chunk, tail, Span(torch.tensor([i]), None))
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-13, rtol=0)
