"""The loss of latents whose codes are known: least at the code, and pointing there from anywhere."""

import pytest
import torch
from tiny import make_codec

from train.losses.codes import SHARPNESS, CodesLoss


@pytest.fixture(scope="module", params=["12.5 Hz", "16 kHz"])  # the levels of the second differ
def quantizer(request):
    return make_codec(request.param).quantizer


def draw(quantizer, n=50):
    generator = torch.Generator().manual_seed(0)
    sizes = quantizer.config.codebook_sizes
    return torch.stack([torch.randint(size, (1, n), generator=generator) for size in sizes], dim=1)


def test_learned_latents_have_the_codes(quantizer):
    """From anywhere, saturated tanh and all: gradients of the loss lead to latents that are quantized to the codes."""
    codes = draw(quantizer)
    z = (4 * torch.randn(1, 50, quantizer.config.latent_dim)).requires_grad_()
    loss = CodesLoss(quantizer)
    optimizer = torch.optim.Adam([z], lr=0.05)
    first = float(loss(z.detach(), codes))
    for _ in range(400):
        optimizer.zero_grad()
        value = loss(z, codes)
        value.backward()
        assert z.grad.isfinite().all()
        optimizer.step()
    assert torch.equal(quantizer.encode(z), codes)
    assert float(value.detach()) < 0.2 * first


def test_acoustic_loss_is_least_inside_the_borders(quantizer):
    c = quantizer.config
    codes = draw(quantizer)
    z = quantizer.decode(codes)
    z[..., c.semantic_dim :] = z[..., c.semantic_dim :].clamp(-0.999, 0.999).atanh()
    loss = CodesLoss(quantizer)
    at_codes = loss(z, codes)
    for shift in (-0.3, 0.3):
        moved = z.clone()
        moved[..., c.semantic_dim :] += shift
        assert loss(moved, codes) > at_codes + 0.1


def test_semantic_loss_by_hand(quantizer):
    """On an entry, its nearest neighbour is as much less likely as it is meant to be, in the median."""
    loss, entries = CodesLoss(quantizer), quantizer.semantic.embedding
    distances = torch.cdist(entries, entries).square()
    nearest = (distances + 1e9 * torch.eye(len(entries))).amin(1)
    assert float(nearest.median() / loss.temperature) == pytest.approx(SHARPNESS, rel=1e-3)
    codes = draw(quantizer)
    z = quantizer.decode(codes)
    acoustic = loss(torch.cat([entries[codes[:, 0]], z[..., entries.shape[1] :]], dim=2), codes)
    other = torch.zeros_like(entries[codes[:, 0]])
    logits = -torch.cdist(other[0], entries).square() / loss.temperature
    expected = torch.nn.functional.cross_entropy(logits, codes[0, 0])
    here = torch.nn.functional.cross_entropy(-distances[codes[0, 0]] / loss.temperature, codes[0, 0])
    value = loss(torch.cat([other, z[..., entries.shape[1] :]], dim=2), codes)
    assert float(value - acoustic) == pytest.approx(float(expected - here), rel=1e-3)
