"""Opus packet by packet: as long as the input, without its delay, and concealed where packets are lost."""

from ctypes.util import find_library
from pathlib import Path

import pytest
import torch

from codec.audio.io import read_audio
from codec.extras import MissingDependencyError
from eval.systems import libopus
from eval.systems.libopus import OpusPackets

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def speech():
    return read_audio(ROOT / "tests/data/kathleen.flac", None, 24_000)[:48_000]


@pytest.mark.skipif(find_library("opus") is None, reason="libopus is not installed")
@pytest.mark.parametrize("packet_ms", [20, 60])
def test_packets(speech, packet_ms):
    opus = OpusPackets(kbit_per_s=16, packet_ms=packet_ms)
    packets, delay = opus.encode(speech)
    assert abs(8 * sum(map(len, packets)) / 2 - 16_000) < 4_000
    whole = opus.decode(packets, delay, len(speech))
    assert whole.shape == speech.shape
    products = [float((whole[50 + lag : -50 + lag or None] * speech[50:-50]).sum()) for lag in range(-50, 50)]
    assert abs(products.index(max(products)) - 50) <= 3
    start = 1000 // packet_ms
    at = start * opus.n_samples - delay
    damaged = opus.decode([*packets[:start], None, *packets[start + 1 :]], delay, len(speech))
    assert torch.equal(damaged[:at], whole[:at])
    lost = damaged[at:][: opus.n_samples]
    assert lost.any()
    assert not torch.equal(lost, whole[at:][: opus.n_samples])


def test_it_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(libopus, "find_library", lambda name: None)
    with pytest.raises(MissingDependencyError, match="install the Debian package opus-tools"):
        OpusPackets()
