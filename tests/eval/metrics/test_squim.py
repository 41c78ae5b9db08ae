"""SQUIM with random weights, which say nothing about speech but everything about what reaches the network."""

import numpy as np
import pytest
import soxr
import torch
from torchaudio.models import squim_objective_base

from codec.extras import MissingDependencyError
from eval.metrics.base import Pair
from eval.metrics.squim import WEIGHTS, make_squim


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return squim_objective_base().eval()


@pytest.fixture
def weights(network, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    return path


def test_scores_are_the_networks(network, weights, speech):
    metric = make_squim(str(weights))
    x = speech[:12_000]
    with torch.inference_mode():
        expected = network(torch.from_numpy(soxr.resample(x, 24_000, 16_000, quality="VHQ"))[None])
    assert [c.key for c in metric.columns] == ["squim_stoi", "squim_pesq", "squim_si_sdr"]
    assert metric.measure(Pair(0 * x, x)) == pytest.approx([float(score) for score in expected], abs=1e-5)


def test_weights_where_torchaudio_keeps_them(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(MissingDependencyError, match=f"{tmp_path}/torchaudio/models/{WEIGHTS} not found; put https://"):
        make_squim("")
    (tmp_path / "torchaudio" / "models").mkdir(parents=True)
    weights.rename(tmp_path / "torchaudio" / "models" / WEIGHTS)


def test_other_weights_are_another_version(network, weights):
    before = make_squim(str(weights)).version
    assert make_squim(str(weights)).version == before
    torch.save({name: 2 * value for name, value in network.state_dict().items()}, weights)
    assert make_squim(str(weights)).version != before


def test_files_that_are_no_weights(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"hello")
    with pytest.raises(ValueError, match=f"squim: {path}: .* expected torchaudio's"):
        make_squim(str(path))
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=f"squim: {path}: "):
        make_squim(str(path))


def test_outputs_that_cannot_be_judged(weights):
    metric = make_squim(str(weights))
    for length, message in [(24_000, "output: silent"), (60, "SQUIM needs 64")]:
        x = np.full(length, 0.1 if length == 60 else 0, np.float32)
        with pytest.raises(ValueError, match=message):
            metric.measure(Pair(x, x))
