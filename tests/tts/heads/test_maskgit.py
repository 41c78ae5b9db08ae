"""The MaskGIT head: what it masks in training, and what it reveals in which round."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.tts.config import TransformerConfig
from codec.tts.heads.base import HeadSampling
from codec.tts.heads.codebooks import gumbel
from codec.tts.heads.maskgit import MaskGITHead

DIM, K, LEVELS = 32, 9, 7


def make_head():
    torch.manual_seed(0)
    config = TransformerConfig(dim=DIM, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=8, hidden_dim=64)
    return MaskGITHead(config, K, LEVELS).eval().requires_grad_(False)


@pytest.fixture
def head():
    return make_head()


def sample_in_rounds(head, h, sampling):
    """Sampled codes, and the codes that each evaluation read, without those of the unconditional half."""
    rounds = []
    handle = head.embedding.register_forward_hook(lambda module, args, x: rounds.append(args[0][: len(h)]))
    noise = torch.stack([head.draw(sampling, torch.Generator().manual_seed(i)) for i in range(len(h))])
    codes = head.sample(h, noise, sampling)
    handle.remove()
    return codes, rounds


@settings(max_examples=15, deadline=None)
@given(n_steps=st.integers(1, 12))
def test_evaluations_are_n_steps_and_codes_once_revealed_stay(n_steps):
    codes, rounds = sample_in_rounds(make_head(), torch.randn(3, DIM), HeadSampling(n_steps=n_steps))
    assert len(rounds) == n_steps
    assert (rounds[0] == LEVELS).all()
    for before, after in zip(rounds, [*rounds[1:], codes], strict=True):
        shown = before != LEVELS
        assert torch.equal(after[shown], before[shown])
    assert (codes != LEVELS).all()


def test_masked_codes_follow_the_cosine(head):
    _, rounds = sample_in_rounds(head, torch.randn(2, DIM), HeadSampling(n_steps=3))
    n_masked = [(codes == LEVELS).sum(dim=1).tolist() for codes in rounds]
    assert n_masked == [[9, 9], [7, 7], [4, 4]]  # 9 cos(0), 9 cos(pi / 6) = 7.8, 9 cos(pi / 3) = 4.5


def test_a_revealed_frame_is_kept(head):
    codes = torch.randint(0, LEVELS, (4, K))
    logits, noise = torch.randn(4, K, LEVELS), gumbel(4, K, LEVELS + 1)
    assert torch.equal(head.reveal(codes, logits, noise, 0, 1.0, 1.0), codes)


def test_the_surest_codes_are_revealed_first(head):
    codes = torch.full((1, K), LEVELS)
    logits = torch.zeros(1, K, LEVELS)
    logits[0, [2, 5], [1, 3]] = torch.tensor([4.0, 8.0])
    shown = head.reveal(codes, logits, gumbel(1, K, LEVELS + 1), K - 2, temperature=0, doubt=0)
    assert shown[0].tolist() == [LEVELS, LEVELS, 1, LEVELS, LEVELS, 3, LEVELS, LEVELS, LEVELS]


def test_noise_in_the_confidence_changes_the_order(head):
    codes, logits = torch.full((200, K), LEVELS), torch.zeros(200, K, LEVELS)
    logits[:, 0] = torch.randn(LEVELS)
    noise = gumbel(200, K, LEVELS + 1, generator=torch.Generator().manual_seed(0))
    shown = head.reveal(codes, logits, noise, K - 1, temperature=1, doubt=1) != LEVELS
    assert shown.sum(dim=1).tolist() == [1] * 200
    assert shown.any(dim=0).all()


def test_one_round_draws_each_code_with_its_probability(head):
    n = 5000
    h = torch.randn(1, DIM).expand(n, -1)
    sampling = HeadSampling(n_steps=1, cfg_scale=1.0, temperature=0.7)
    noise = gumbel(n, 1, K, LEVELS + 1, generator=torch.Generator().manual_seed(0))
    codes = head.sample(h, noise, sampling)
    shares = torch.nn.functional.one_hot(codes, LEVELS).float().mean(dim=0)
    probs = (head.logits(h[:1], torch.full((1, K), LEVELS)) / 0.7).softmax(2)[0]
    torch.testing.assert_close(shares, probs, atol=0.03, rtol=0)


def test_guidance_leads_away_from_the_unconditional_logits(head):
    h, codes = torch.randn(2, DIM), torch.full((2, K), LEVELS)
    with_h, without = head.logits(h, codes), head.logits(torch.zeros_like(h), codes)
    sampling = HeadSampling(n_steps=1, cfg_scale=3.0, temperature=0)
    sampled = head.sample(h, gumbel(2, 1, K, LEVELS + 1), sampling)
    assert torch.equal(sampled, (without + 3 * (with_h - without)).argmax(2))


def test_every_code_sees_every_other_and_h(head):
    h, codes = torch.randn(1, DIM), torch.randint(0, LEVELS, (1, K))
    logits = head.logits(h, codes)
    for k in range(K):
        changed = codes.clone()
        changed[:, k] = LEVELS
        assert (head.logits(h, changed) != logits).any(dim=2).all()
    assert (head.logits(h + 1, codes) != logits).any(dim=2).all()


def test_masks_hide_between_one_and_all_codes_by_the_cosine(head):
    masked = head.draw_mask(20_000, torch.device("cpu"), torch.Generator().manual_seed(0))
    counts = masked.sum(dim=1)
    assert counts.unique().tolist() == list(range(1, K + 1))
    most = (counts > K / 2).float().mean()  # cos(pi / 2 * r) > 4 / 9 for r < 0.707, as the count is rounded up
    assert abs(most - 0.707) < 0.02
    torch.testing.assert_close(masked.float().mean(dim=0), counts.float().mean().expand(K) / K, atol=0.02, rtol=0)


def test_loss_counts_masked_codes_as_if_all_were(head, monkeypatch):
    h, codes = torch.randn(2, DIM), torch.randint(0, LEVELS, (2, K))
    masked = torch.zeros(2, K, dtype=torch.bool)
    masked[0, [1, 4]] = True
    masked[1] = True
    monkeypatch.setattr(head, "draw_mask", lambda *args: masked)
    log_probs = head.logits(h, codes.masked_fill(masked, LEVELS)).log_softmax(2).gather(2, codes[..., None])[..., 0]
    expected = torch.stack([-(log_probs[0, 1] + log_probs[0, 4]) * K / 2, -log_probs[1].sum()])
    torch.testing.assert_close(head.loss(h, codes), expected)
