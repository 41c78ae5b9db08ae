"""Voices told apart by the packaged encoder; the formula and its limits by encoders made for it."""

import sys

import numpy as np
import pytest
import soundfile
import soxr
import torch

from codec.extras import MissingDependencyError
from eval.metrics.base import Pair, SynthesisPair
from eval.metrics.speaker import MIN_SECONDS, RATE, make_own_voice, make_speaker, own_voice_metric, speaker_metric


class Means:
    """Embeds a waveform as its mean and its mean square."""

    version = "1"

    def embed(self, waveform):
        return np.array([waveform.mean(), np.square(waveform).mean()], np.float32)


def constants(reference, output, seconds=2.0):
    n = int(seconds * RATE)
    return Pair(np.full(n, float(reference)), np.full(n, float(output)), RATE)


@pytest.fixture(scope="module")
def resemblyzer():
    pytest.importorskip("resemblyzer")
    return make_speaker("")


@pytest.fixture(scope="module")
def ecapa_network():
    pytest.importorskip("speechbrain")
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    torch.manual_seed(0)
    return ECAPA_TDNN(80, channels=[1024, 1024, 1024, 1024, 3072]).eval()


@pytest.fixture(scope="module")
def ecapa_folder(ecapa_network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ecapa")
    torch.save(ecapa_network.state_dict(), folder / "embedding_model.ckpt")
    return folder


def test_it_is_the_cosine():
    metric = speaker_metric(Means())
    assert [c.key for c in metric.columns] == ["speaker_sim"]
    a, b = np.array([0.5, 0.25]), np.array([-0.25, 0.0625])
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert metric.measure(constants(0.5, -0.25)) == pytest.approx([expected])


def test_too_little_to_judge_has_no_score():
    metric = speaker_metric(Means())
    with pytest.raises(ValueError, match="output: silent"):
        metric.measure(constants(0.5, 0))
    with pytest.raises(ValueError, match=rf"reference: 1\.10 s of speech; it takes {MIN_SECONDS} s"):
        metric.measure(constants(0.5, 0.5, 1.1))


def test_the_own_voice_is_the_nearest_of_all():
    metric = own_voice_metric(Means())
    ones = np.ones(2 * RATE, np.float32)

    def measure(output, *others):
        voices = tuple(other * ones for other in others)
        return metric.measure(SynthesisPair(0.5 * ones, output * ones, RATE, others=voices))

    assert measure(0.4, -0.5, 0.1) == [1]  # the angle of (m, m^2) is m's own
    assert measure(0.4, -0.5, 0.39) == [0]
    assert measure(0.4, 0.5) == [0]  # a draw is no recognition
    with pytest.raises(ValueError, match="no other voice of its language"):
        measure(0.4)
    with pytest.raises(ValueError, match="another voice: silent"):
        measure(0.4, 0.0)


def test_unknown_encoders_are_listed():
    for option in ("titanet", "ecapa", "ecapa=", "wavlm", "resemblyzer=folder"):
        with pytest.raises(ValueError, match=f"speaker:{option}: unknown; there are speaker:resemblyzer, :ecapa"):
            make_speaker(option)
    with pytest.raises(ValueError, match="own_voice:titanet: unknown; there are own_voice:resemblyzer, :ecapa"):
        make_own_voice("titanet")


@pytest.mark.parametrize(
    ("package", "option", "message"),
    [
        ("resemblyzer", "", "--no-deps resemblyzer webrtcvad-wheels"),
        ("speechbrain.lobes.features", "ecapa=folder", "pip install speechbrain"),
    ],
)
def test_missing_packages_are_named(package, option, message, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=message):
        make_speaker(option)


def test_the_same_recording_is_the_same_voice(resemblyzer, speech):
    assert resemblyzer.measure(Pair(speech, speech)) == pytest.approx([1], abs=1e-6)
    assert resemblyzer.measure(Pair(speech, 0.01 * speech)) == pytest.approx([1], abs=0.05), "whatever the level"


def test_one_voice_is_more_alike_than_two(resemblyzer, speech):
    n = len(speech) // 2
    same = resemblyzer.measure(Pair(speech[:n], speech[n : 2 * n]))[0]
    for name in ("kerstin", "flemishguy"):
        other = soundfile.read(f"tests/data/{name}.flac", dtype="float32", frames=n)[0]
        assert resemblyzer.measure(Pair(speech[:n], other))[0] < same - 0.15


def test_resemblyzer_wants_speech(resemblyzer, speech):
    tone = np.sin(np.arange(len(speech)) * 0.1).astype(np.float32)
    with pytest.raises(ValueError, match=r"output: 0\.00 s of speech"):
        resemblyzer.measure(Pair(speech, 0.1 * tone))
    short = np.pad(speech[12_000:36_000], (0, 48_000))
    with pytest.raises(ValueError, match=r"reference: 1\.\d+ s of speech|reference: 0\.\d+ s of speech"):
        resemblyzer.measure(Pair(short, short))


def test_ecapa_is_speechbrains_own(ecapa_network, ecapa_folder, speech, noise):
    from speechbrain.inference.classifiers import EncoderClassifier
    from speechbrain.lobes.features import Fbank
    from speechbrain.processing.features import InputNormalization

    modules = {
        "compute_features": Fbank(n_mels=80),
        "mean_var_norm": InputNormalization(norm_type="sentence", std_norm=False),
        "embedding_model": ecapa_network,
        "classifier": torch.nn.Identity(),
    }
    theirs = EncoderClassifier(modules, {"label_encoder": None})
    at_16k = [torch.from_numpy(soxr.resample(x, 24_000, RATE, quality="VHQ")) for x in (speech, noise)]
    expected = torch.cosine_similarity(*(theirs.encode_batch(x)[0, 0] for x in at_16k), dim=0)
    metric = make_speaker(f"ecapa={ecapa_folder}")
    assert metric.measure(Pair(speech, noise)) == pytest.approx([float(expected)], abs=1e-5)
    assert metric.measure(Pair(speech, speech)) == pytest.approx([1], abs=1e-6)


def test_ecapa_without_weights(tmp_path):
    pytest.importorskip("speechbrain")
    with pytest.raises(
        MissingDependencyError, match=rf"no embedding_model\.ckpt there: hf download .* --local-dir {tmp_path}"
    ):
        make_speaker(f"ecapa={tmp_path}")
    torch.save({"x": torch.zeros(1)}, tmp_path / "embedding_model.ckpt")
    with pytest.raises(ValueError, match=r"embedding_model\.ckpt: no weights of speechbrain/"):
        make_speaker(f"ecapa={tmp_path}")


def test_a_pickle_that_would_run_code_does_not(tmp_path):
    pytest.importorskip("speechbrain")
    torch.save({"x": Trap(tmp_path / "sprung")}, tmp_path / "embedding_model.ckpt")
    with pytest.raises(ValueError, match="no weights"):
        make_speaker(f"ecapa={tmp_path}")
    assert not (tmp_path / "sprung").exists()


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return type(self.path).touch, (self.path,)
