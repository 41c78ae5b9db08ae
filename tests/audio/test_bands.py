"""Mel bands, envelopes between them, and the phases that belong to envelopes."""

import numpy as np
import pytest

from codec.audio.bands import band_middles, band_weights, envelope_basis, minimum_phase

RATE = 24_000


def test_middles_are_even_on_the_mel_scale():
    middles = band_middles(20, RATE)
    mel = 2595 * np.log10(1 + middles / 700)
    np.testing.assert_allclose(np.diff(mel), np.diff(mel)[0])
    assert (middles[0], middles[-1]) == (pytest.approx(60), pytest.approx(0.98 * RATE / 2))


@pytest.mark.parametrize("n_fft", [256, 1024])
def test_weights_are_means(n_fft):
    """Flat spectra stay flat, also in bands narrower than a bin, and a tone shows in the band around it."""
    weights = band_weights(64, n_fft, RATE)
    assert weights.shape == (n_fft // 2 + 1, 64)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(0), 1)
    tone = np.zeros(n_fft // 2 + 1)
    tone[round(3000 * n_fft / RATE)] = 1
    assert abs(band_middles(64, RATE)[(tone @ weights).argmax()] - 3000) < 200


def test_envelopes_pass_through_their_values():
    middles = band_middles(16, RATE)
    values = np.random.default_rng(0).normal(size=16)
    np.testing.assert_allclose(envelope_basis(middles, middles) @ values, values)
    outside = envelope_basis(middles, np.array([0.0, 12_000.0])) @ values
    np.testing.assert_allclose(outside, values[[0, -1]])


def test_minimum_phase_is_that_of_a_known_filter():
    """One pole inside the unit circle: causal and minimum-phase, its response is known."""
    n_fft = 1024
    response = 1 / (1 - 0.9 * np.exp(-2j * np.pi * np.arange(n_fft // 2 + 1) / n_fft))
    phase = minimum_phase(np.log(np.abs(response)))
    np.testing.assert_allclose(phase, np.angle(response), atol=1e-6)
    impulse = np.fft.irfft(np.abs(response) * np.exp(1j * phase))
    np.testing.assert_allclose(impulse[:50], 0.9 ** np.arange(50), atol=1e-6)
