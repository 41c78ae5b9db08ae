"""The start as a transform codec: what passes a fresh codec, for every architecture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CONFIGS

from codec.audio.io import read_audio
from codec.config import preset
from codec.model import Codec
from train.data.audio.companions import find_pitch
from train.init.transform import ACOUSTIC_STD, SEMANTIC_STD, principal_components, start_as_transform, start_as_vocoder
from train.losses.controls import ControlLoss

CLIP = Path(__file__).parents[2] / "data" / "kathleen.flac"


def speech(config):
    x = read_audio(CLIP, None, config.sample_rate)
    n = len(x) // (2 * config.hop_length) * config.hop_length
    return x[: 2 * n].view(2, n)


def snr(x, y):
    return 10 * torch.log10(x.square().sum() / (x - y).square().sum())


def assert_deviations(config, z):
    n = config.quantizer.semantic_dim
    torch.testing.assert_close(z[..., n:].std(), torch.tensor(ACOUSTIC_STD), rtol=0.15, atol=0)
    if n:
        torch.testing.assert_close(z[..., :n].std(), torch.tensor(SEMANTIC_STD), rtol=0.1, atol=0)


@torch.no_grad()
def outputs(config):
    """Original, and what passes when the blocks do nothing and latents are not limited."""
    x = speech(config)
    codec = Codec(config).eval()
    start_as_transform(codec, x)
    return x, codec.latents(x), codec.synthesize(codec.latents(x))


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "source filter"])
def test_the_waveform_passes_at_the_start(name):
    config = preset("tiny", layer_scale_init=0.0, **CONFIGS[name])
    x, z, y = outputs(config)
    assert_deviations(config, z)
    assert snr(x, y) > 0.3  # random weights are below 0: what comes out has nothing to do with what went in


def test_nothing_is_lost_where_nothing_is_narrowed():
    widths = {"dim": 480, "head_dim": 8, "hidden_dim": 8, "quantizer": {"acoustic": {"n_channels": 480}}}
    config = preset("tiny", layer_scale_init=0.0, **CONFIGS["50 Hz"], **widths)
    x, _, y = outputs(config)
    assert snr(x, y) > 40


def test_more_channels_pass_more():
    values = []
    for n in (2, 8, 32):
        x, _, y = outputs(preset("tiny", layer_scale_init=0.0, quantizer={"acoustic": {"n_channels": n}}))
        values.append(float(snr(x, y)))
    assert values == sorted(values)


def test_silence_is_survived():
    config = preset("tiny")
    x = torch.cat([speech(config), torch.zeros(1, speech(config).shape[1])])
    codec = Codec(config)
    start_as_transform(codec, x)
    assert all(torch.isfinite(p).all() for p in codec.parameters())


@torch.no_grad()
def test_the_voice_passes_at_the_start():
    """Of a codec with a source-filter head: the controls of speech, and with more channels more of them."""
    errors = []
    for n in (2, 8, 32):
        changes = {"dim": 64, "quantizer": {"acoustic": {"n_channels": n}}, **CONFIGS["source filter"]}
        config = preset("tiny", layer_scale_init=0.0, **changes)
        x, loss = speech(config), ControlLoss(config)
        f0 = torch.from_numpy(np.stack([find_pitch(row.numpy(), config.sample_rate) for row in x]))
        codec = Codec(config).eval()
        start_as_vocoder(codec, x, loss.measure(x, f0)[0])
        z = codec.latents(x)
        assert_deviations(config, z)
        _, controls = codec.decoder.reconstruct(z, with_waveform=False)
        errors.append({name: float(value) for name, value in loss(controls, x, f0).items()})
    assert [e["envelope"] for e in errors] == sorted((e["envelope"] for e in errors), reverse=True)
    assert errors[-1]["envelope"] < 0.25
    assert errors[-1]["pitch"] < 0.2


def test_a_codec_of_patches_does_not_start_as_a_vocoder():
    config = preset("tiny")
    with pytest.raises(ValueError, match="front = spectrum"):
        start_as_vocoder(Codec(config), speech(config), None)


def test_principal_components_of_known_axes():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5000, 3, generator=generator) * torch.tensor([1.0, 9.0, 3.0])
    basis = principal_components(x, 5)
    expected = torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
    torch.testing.assert_close(basis.abs(), expected, atol=0.05, rtol=0)


@pytest.mark.parametrize("n_silent", [1, 3])
def test_nothing_but_silence_is_no_start(n_silent):
    config = preset("tiny")
    x = torch.zeros(n_silent, 10 * config.hop_length)
    with pytest.raises(
        ValueError, match=rf"all {n_silent} clips to start from are silent; check .* model\.init=random"
    ):
        start_as_transform(Codec(config), x)
    config = preset("tiny", **CONFIGS["source filter"])
    with pytest.raises(ValueError, match="silent"):
        start_as_vocoder(Codec(config), torch.zeros(n_silent, 10 * config.hop_length), None)


def test_weights_that_are_no_numbers_are_no_start():
    """A voice without any pitch gives the vocoder's none to scale by."""
    config = preset("tiny", layer_scale_init=0.0, dim=64, **CONFIGS["source filter"])
    x, loss = speech(config), ControlLoss(config)
    controls = loss.measure(x, torch.zeros(len(x), x.shape[1] * 100 // config.sample_rate))[0]
    controls = controls._replace(log_f0=torch.full_like(controls.log_f0, 7.0))
    with pytest.raises(ValueError, match=r"too few, or hold no speech; check .* model\.init=random"):
        start_as_vocoder(Codec(config), x, controls)
