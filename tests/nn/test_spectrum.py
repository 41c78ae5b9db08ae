"""The front of log spectra and autocorrelations: what it shows, and what it must not see."""

import math

import torch

from codec.nn.spectrum import LAG_RANGE_HZ, N_LAG_BANDS, N_LAGS, WINDOWS, SpectrumFront
from codec.nn.state import Span

RATE, PATCH = 24_000, 240
FRONT = SpectrumFront(PATCH, RATE)
N_LOG = sum(n for _, n in WINDOWS)


def run(x, chunks=None):
    """Features `[T, dim]` of `[L]`, in chunks of given numbers of patches."""
    patches = x.view(1, -1, PATCH)
    tail, seen, parts = torch.zeros(1, *FRONT.tail_shape), 0, []
    for chunk in patches.split(chunks or patches.shape[1], dim=1):
        y, tail = FRONT(chunk, tail, Span(torch.tensor([seen]), None))
        parts.append(y)
        seen += chunk.shape[1]
    return torch.cat(parts, dim=1)[0]


def tone(hz, seconds=0.5, harmonics=20):
    t = torch.arange(int(seconds * RATE)) / RATE
    return sum(torch.cos(2 * math.pi * hz * k * t) for k in range(1, harmonics + 1)) * 0.02


def test_chunks_change_nothing_and_later_samples_neither():
    x = torch.randn(40 * PATCH, generator=torch.Generator().manual_seed(0)) * 0.1
    whole = run(x)
    for chunks in (1, 3, [7, 1, 32]):
        torch.testing.assert_close(run(x, chunks), whole, atol=1e-5, rtol=0)
    changed = x.clone()
    changed[20 * PATCH :] = 0
    torch.testing.assert_close(run(changed)[:20], whole[:20], atol=1e-6, rtol=0)
    assert not torch.allclose(run(changed)[20], whole[20])


def test_a_gain_shifts_log_bands_and_leaves_correlations():
    x = torch.randn(40 * PATCH, generator=torch.Generator().manual_seed(0)) * 0.1
    a, b = run(x)[10:], run(2 * x)[10:]
    torch.testing.assert_close(
        b[:, :N_LOG] - a[:, :N_LOG], torch.full_like(a[:, :N_LOG], math.log(2)), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(b[:, N_LOG:], a[:, N_LOG:], atol=1e-3, rtol=0)


def test_phase_does_not_show():
    """The same voice begun a quarter of a cycle later gives the same features."""
    a, b = run(tone(200)), run(tone(200).roll(30))
    assert (a[10:, :64] - b[10:, :64]).abs().mean() < 0.05


def test_pitch_shows_as_a_peak():
    pitches = torch.logspace(*(math.log10(f) for f in LAG_RANGE_HZ), N_LAGS)
    for hz in (90, 150, 260, 450):
        correlation = run(tone(hz))[-1, N_LOG:].view(N_LAG_BANDS, N_LAGS)[0]
        near = (pitches / hz).log2().abs() < 0.05
        assert correlation[near].max() > 0.9
        assert correlation[near].max() >= correlation[pitches > 1.1 * hz].max()
