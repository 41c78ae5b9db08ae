"""The codec as a function of its input: causal, indifferent to batching and padding, decodable by prefix."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import make_codec

from codec import Codec, MissingEncoderError, preset

SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def noise(batch, n_samples, dtype=torch.float64, seed=0):
    return torch.randn(batch, n_samples, generator=torch.Generator().manual_seed(seed)).to(dtype) * 0.3


@SETTINGS
@given(st.lists(st.integers(1, 12_000), min_size=2, max_size=4), st.booleans())
def test_items_of_a_batch_are_as_if_alone(any_codec, lengths, garbage_codes):
    x = noise(len(lengths), max(lengths))
    for i, n in enumerate(lengths):
        x[i, n:] = 0
    codes = any_codec.encode(x, torch.tensor(lengths))
    hop = any_codec.config.hop_length
    n_frames = torch.tensor([-(-n // hop) for n in lengths])
    if garbage_codes:  # what follows an item must not matter
        codes = torch.where(torch.arange(codes.shape[2]) < n_frames[:, None, None], codes, 1)
    waveform = any_codec.decode(codes, n_frames)
    for i, n in enumerate(lengths):
        alone = any_codec.encode(x[i : i + 1, :n])
        assert torch.equal(codes[i, :, : n_frames[i]], alone[0])
        torch.testing.assert_close(waveform[i, : n_frames[i] * hop], any_codec.decode(alone)[0], atol=1e-9, rtol=0)


@SETTINGS
@given(st.integers(0, 11_999))
def test_causality(any_codec, changed):
    """A changed sample leaves all frames before its own as they are, and a changed frame all samples before its own."""
    hop, lead = any_codec.config.hop_length, any_codec.config.lead_frames
    x = noise(1, 12_000)
    y = x.clone()
    y[0, changed:] = noise(1, 12_000 - changed, seed=1)[0]
    frame = changed // hop
    z = any_codec.latents(x)
    z_changed = any_codec.latents(y)
    if frame >= lead:  # the start alone is mirrored
        torch.testing.assert_close(z_changed[:, :frame], z[:, :frame], atol=0, rtol=1e-12)
    assert not torch.equal(z_changed[:, frame:], z[:, frame:])
    if frame >= lead:
        mixed = torch.cat([z[:, :frame], z_changed[:, frame:]], dim=1)
        torch.testing.assert_close(
            any_codec.synthesize(mixed)[:, : frame * hop], any_codec.synthesize(z)[:, : frame * hop], atol=1e-12, rtol=0
        )


def test_prefixes_decode(any_codec):
    """A prefix decodes; where codes are levels, as if the missing channels sat in the middle of their range."""
    codes, config = any_codec.encode(noise(1, 8_000)), any_codec.config.quantizer
    full = any_codec.quantizer.decode(codes)
    for n_q in range(1, codes.shape[1] + 1):
        z = any_codec.quantizer.decode(codes[:, :n_q])
        if all(config.ordinal[n_q:]):
            kept = config.latent_dim - (codes.shape[1] - n_q)
            assert torch.equal(z[..., :kept], full[..., :kept])
            assert not z[..., kept:].any()
        assert any_codec.decode(codes[:, :n_q]).shape == any_codec.decode(codes).shape


@pytest.mark.parametrize("name", ["12.5 Hz", "16 kHz"])
def test_silence_and_clipping(name):
    codec = make_codec(name)
    for x in (torch.zeros(1, 5_000), torch.ones(1, 5_000), torch.full((1, 5_000), -3.0)):
        assert torch.isfinite(codec.decode(codec.encode(x))).all()


def test_training_pass_reaches_every_parameter():
    codec = make_codec().train().requires_grad_(True)
    generator = torch.Generator().manual_seed(0)
    x = noise(8, 4 * 1920, torch.float32)
    codec.quantizer.start(codec.latents(x))
    out = codec(x, generator)
    assert out.waveform.shape == x.shape
    (out.waveform.square().mean() + sum(out.quantized.penalties.values())).backward()
    assert [name for name, p in codec.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_training_is_seeded():
    def run(seed):
        codec = make_codec().train()
        return codec(noise(4, 3 * 1920, torch.float32), torch.Generator().manual_seed(seed)).waveform

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_without_encoder():
    codec = Codec(preset("tiny"), with_encoder=False).eval()
    with pytest.raises(MissingEncoderError, match="load a checkpoint trained"):
        codec.encode(torch.zeros(1, 1920))
    assert codec.decode(torch.zeros(1, 9, 2, dtype=torch.long)).shape == (1, 2 * 1920)


def test_voxtral_parameter_counts():
    """The counts of the released architecture, its weight-norm gains folded into the weights."""
    with torch.device("meta"):
        codec = Codec(preset("voxtral"))
    gains_encoder = 1024 + 3 * 1024 + 292
    gains_decoder = 1024 + 3 * 1024 + 240
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in codec.named_children()}
    assert count["_encoder"] + gains_encoder == 1_721_344 + 147_750_180
    assert count["decoder"] + gains_decoder == 147_750_912 + 1_720_560
