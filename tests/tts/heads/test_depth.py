"""The depth head: whole frames as in training equal frames code by code as in sampling."""

import pytest
import torch

from codec.tts.config import TransformerConfig
from codec.tts.heads.base import HeadSampling
from codec.tts.heads.depth import DepthHead

DIM, K, LEVELS = 32, 6, 7


@pytest.fixture
def head():
    torch.manual_seed(0)
    config = TransformerConfig(dim=DIM, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=8, hidden_dim=64)
    return DepthHead(config, K, LEVELS).requires_grad_(False)


def noise_for(head, n_frames, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([head.draw(HeadSampling(), generator) for _ in range(n_frames)])


def test_logits_are_those_that_sampling_went_by(head):
    steps = []
    handle = head.output.register_forward_hook(lambda module, args, logits: steps.append(logits))
    h = torch.randn(5, DIM)
    codes = head.sample(h, noise_for(head, 5), HeadSampling())
    handle.remove()
    assert len(steps) == K
    torch.testing.assert_close(torch.cat(steps, dim=1), head.logits(h, codes), atol=1e-5, rtol=0)


def test_a_codebook_sees_the_codes_before_it_and_h(head):
    h, codes = torch.randn(1, DIM), torch.randint(0, LEVELS, (1, K))
    logits = head.logits(h, codes)
    for k in range(K):
        changed = codes.clone()
        changed[:, k] = (codes[:, k] + 1) % LEVELS
        differs = (head.logits(h, changed) != logits).any(dim=2)[0]
        assert differs.tolist() == [i > k for i in range(K)]
    assert (head.logits(h + 1, codes) != logits).any(dim=2).all()


def test_loss_is_the_negative_log_likelihood_of_the_frame(head):
    h, codes = torch.randn(3, DIM), torch.randint(0, LEVELS, (3, K))
    probs = head.logits(h, codes).softmax(2)
    for n in range(3):
        likelihood = torch.stack([probs[n, k, codes[n, k]] for k in range(K)]).prod()
        torch.testing.assert_close(head.loss(h, codes)[n], -likelihood.log())


def test_likelihoods_of_all_frames_sum_to_one():
    torch.manual_seed(1)
    config = TransformerConfig(dim=16, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=8, hidden_dim=32)
    head = DepthHead(config, 3, 4).requires_grad_(False)
    frames = torch.cartesian_prod(*[torch.arange(4)] * 3)
    losses = head.loss(torch.randn(1, 16).expand(len(frames), -1), frames)
    torch.testing.assert_close((-losses).exp().sum(), torch.tensor(1.0))


def test_codes_are_drawn_with_their_likelihood():
    torch.manual_seed(1)
    config = TransformerConfig(dim=16, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=8, hidden_dim=32)
    head = DepthHead(config, 2, 3).requires_grad_(False)
    h = torch.randn(1, 16).expand(20_000, -1)
    codes = head.sample(h, noise_for(head, len(h)), HeadSampling(temperature=1))
    frames = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    shares = (codes[:, None] == frames).all(dim=2).float().mean(dim=0)
    torch.testing.assert_close(shares, (-head.loss(h[: len(frames)], frames)).exp(), atol=0.015, rtol=0)


def test_at_temperature_zero_each_code_is_the_likeliest(head):
    h = torch.randn(4, DIM)
    codes = head.sample(h, noise_for(head, 4), HeadSampling(temperature=0))
    assert torch.equal(codes, head.logits(h, codes).argmax(2))
    assert torch.equal(codes, head.sample(h, noise_for(head, 4, seed=1), HeadSampling(temperature=0)))
