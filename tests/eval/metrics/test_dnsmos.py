"""DNSMOS beside its networks, asked directly."""

import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soxr

from codec.extras import MissingDependencyError
from eval.metrics.base import Pair
from eval.metrics.dnsmos import make_dnsmos

CURVES = (  # from the network's output to P.835 scores, as Microsoft published them
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)


@pytest.fixture(scope="module")
def metric():
    pytest.importorskip("speechmos")
    pytest.importorskip("onnxruntime")
    return make_dnsmos()


def test_scores_are_the_networks(metric, speech):
    """The clip of 2.9 s is repeated to 11.6 s, which holds two windows of 9.01 s that start a second apart."""
    import onnxruntime
    import speechmos

    models = Path(speechmos.__file__).parent / "dnsmos_models"
    x = np.tile(soxr.resample(speech, 24_000, 16_000, quality="VHQ"), 4)

    def run(name, features):
        session = onnxruntime.InferenceSession(models / name)
        return session.run(None, {"input_1": features[None].astype(np.float32)})[0][0]

    expected = []
    for window in (x[:144_160], x[16_000:160_160]):
        mel = librosa.feature.melspectrogram(y=window[:-160], sr=16_000, n_fft=321, hop_length=160, n_mels=120)
        p808 = run("model_v8.onnx", (librosa.power_to_db(mel, ref=np.max).T + 40) / 40)[0]
        p835 = [np.polyval(curve, raw) for curve, raw in zip(CURVES, run("sig_bak_ovr.onnx", window), strict=True)]
        expected.append([*p835, p808])
    assert metric.measure(Pair(0 * speech, speech)) == pytest.approx(np.mean(expected, axis=0), abs=1e-3)


def test_noise_is_heard(metric, speech, noise):
    clean, noisy = (metric.measure(Pair(speech, output)) for output in (speech, speech + noise))
    assert all(c > n for c, n in zip(clean, noisy, strict=True))
    background = [column.key for column in metric.columns].index("dnsmos_bak")
    assert clean[background] > noisy[background] + 1


def test_beyond_full_scale_is_clipped(metric, speech):
    x = 20 * speech[:40_000]  # at 16 kHz, where nothing is resampled
    assert metric.measure(Pair(x, x, 16_000)) == metric.measure(Pair(x, np.clip(x, -1, 1), 16_000))


def test_silence_has_no_score(metric, speech):
    with pytest.raises(ValueError, match="output: silent"):
        metric.measure(Pair(speech, 0 * speech))


@pytest.mark.parametrize("package", ["speechmos", "onnxruntime"])
def test_without_its_packages(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match="pip install speechmos onnxruntime"):
        make_dnsmos()
