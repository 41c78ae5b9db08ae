"""What every acoustic head must do, whatever it is made of."""

import pytest
import torch

from codec.tts.config import TransformerConfig, TTSConfig
from codec.tts.heads import HEADS, make_head
from codec.tts.heads.base import DROP_PROB, HeadSampling, drop_hidden
from codec.tts.heads.flow import FlowHead

DIM, K, LEVELS = 32, 5, 7
TRANSFORMER = TransformerConfig(dim=DIM, n_layers=1, n_heads=4, n_kv_heads=2, head_dim=8, hidden_dim=64)
SAMPLING = HeadSampling(n_steps=4, cfg_scale=1.2)


@pytest.fixture(params=HEADS)
def head(request):
    torch.manual_seed(0)
    config = TTSConfig(
        acoustic_dim=K, acoustic_levels=LEVELS, head=request.param, backbone=TRANSFORMER, head_transformer=TRANSFORMER
    )
    return make_head(config)


def draw(head, n_frames, seed=0):
    return torch.stack([head.draw(SAMPLING, torch.Generator().manual_seed(seed + i)) for i in range(n_frames)])


def test_codes_are_of_the_right_shape_and_range(head):
    codes = head.sample(torch.randn(300, DIM), draw(head, 300), SAMPLING)
    assert codes.shape == (300, K)
    assert codes.dtype == torch.int64
    assert codes.unique().tolist() == list(range(LEVELS))


def test_the_same_noise_gives_the_same_codes(head):
    h, noise = torch.randn(6, DIM), draw(head, 6)
    codes = head.sample(h, noise, SAMPLING)
    torch.rand(1)  # the global generator plays no part
    assert torch.equal(draw(head, 6), noise)
    assert torch.equal(head.sample(h, noise, SAMPLING), codes)
    assert not torch.equal(head.sample(h, draw(head, 6, seed=10), SAMPLING), codes)


def test_frames_do_not_depend_on_each_other(head):
    head.double()
    h, noise = torch.randn(4, DIM, dtype=torch.float64), draw(head, 4)
    alone = [head.sample(h[i : i + 1], noise[i : i + 1], SAMPLING) for i in range(4)]
    assert torch.equal(head.sample(h, noise, SAMPLING), torch.cat(alone))


def test_loss_is_one_number_a_frame_and_reaches_every_parameter(head):
    loss = head.loss(torch.randn(64, DIM), torch.randint(0, LEVELS, (64, K)))
    assert loss.shape == (64,)
    assert loss.dtype == torch.float32
    loss.mean().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_loss_in_half_precision_is_float32(head):
    loss = head.bfloat16().loss(torch.randn(3, DIM, dtype=torch.bfloat16), torch.randint(0, LEVELS, (3, K)))
    assert loss.dtype == torch.float32


def test_loss_is_that_of_its_generator(head):
    h, codes = torch.randn(8, DIM), torch.randint(0, LEVELS, (8, K))
    first, second = (head.loss(h, codes, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)


def test_training_learns_a_frame_by_its_hidden_state(head):
    h = torch.randn(2, DIM)
    codes = torch.tensor([[0, 1, 3, 6, 2], [6, 4, 1, 0, 5]])
    optimizer = torch.optim.Adam(head.parameters(), 3e-3)
    for _ in range(300):
        rows = torch.randint(0, 2, (64,))
        optimizer.zero_grad()
        head.loss(h[rows], codes[rows]).mean().backward()
        optimizer.step()
    sampled = head.sample(h, draw(head, 2), HeadSampling(n_steps=4, cfg_scale=1.0, temperature=0.5))
    assert (sampled - codes).abs().max() <= 1
    if isinstance(head, FlowHead):
        rows = torch.arange(2).repeat(50)
        errors = head.expected(h[rows], draw(head, 100)) - head.values(codes[rows])
        assert errors.square().mean() < 0.15 * head.values(codes).var()


def test_dropped_hidden_states_are_zeros():
    h = drop_hidden(torch.ones(2000, 3), torch.Generator().manual_seed(0))
    dropped = (h == 0).all(dim=1)
    assert torch.equal(h[~dropped], torch.ones(int((~dropped).sum()), 3))
    assert abs(dropped.float().mean() - DROP_PROB) < 0.03


def test_unknown_heads_are_named():
    with pytest.raises(ValueError, match="head = 'gan': expected one of flow, depth, maskgit"):
        make_head(TTSConfig(head="gan"))
