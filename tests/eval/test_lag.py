"""Lags: found to half a millisecond, and taken out."""

import pytest
import soundfile
import torch

from eval.lag import CUT, MIN_GAIN, find_lag, remove_lag
from eval.metrics.perceptual import estoi

L = 30_000


@pytest.fixture(scope="module")
def speech():
    return torch.from_numpy(soundfile.read("tests/data/kathleen.flac", dtype="float32")[0][:L])


@pytest.mark.parametrize("lag", [-150, 0, 1021])
def test_a_lag_is_found_without_correlation(speech, lag):
    """The output has the opposite sign, so the waveforms correlate negatively, and is louder."""
    output = -2 * (torch.nn.functional.pad(speech, (lag, 0)) if lag > 0 else speech[-lag:])
    assert abs(find_lag([(speech, output)]) - lag) <= 12


def test_what_is_in_time_stays_so(speech):
    """Though smeared towards what comes next, so that moving it back by a millisecond brings a little."""
    noise = 0.02 * torch.randn(L, generator=torch.Generator().manual_seed(0))
    output = speech + 0.1 * torch.nn.functional.pad(speech, (100, 0))[:L] + noise
    moved = [estoi(*remove_lag(speech, output, lag)) for lag in (0, 24)]
    assert 0 < moved[1] - moved[0] < MIN_GAIN
    assert find_lag([(speech, output)]) == 0


def test_align_cuts_and_fills():
    reference = torch.arange(1.0, 5001)
    for lag in (700, 0, -700):
        output = torch.nn.functional.pad(reference, (lag, 0)) if lag > 0 else reference[-lag:]
        r, x = remove_lag(reference, output, lag)
        assert len(r) == len(x) == 5000 - CUT
        torch.testing.assert_close(x[max(0, -lag) :], r[max(0, -lag) :])
    r, x = remove_lag(reference, reference[:1000], 10)
    assert x[989] == 1000
    assert not x[990:].any()
    with pytest.raises(ValueError, match="1200 samples"):
        remove_lag(reference[:1200], reference, 0)
