"""Drawing semantic tokens."""

import pytest
import torch

from codec.tokens.layout import END
from codec.tts.sampling import Sampling, draw_moves, draw_semantic


def draws(logits, n=400, may_end=True, past=(), **settings):
    uniforms = torch.rand(n, 2, generator=torch.Generator().manual_seed(0))
    tokens = draw_semantic(logits.expand(n, -1), [Sampling(**settings)] * n, [may_end] * n, [list(past)] * n, uniforms)
    return tokens.tolist()


@pytest.fixture
def logits():
    x = torch.tensor([0.0, 1.0, 3.0, 2.0, 1.0, 0.0])
    x[0] = -torch.inf
    return x


def test_zero_temperature_takes_the_likeliest(logits):
    assert set(draws(logits, temperature=0)) == {2}


def test_end_only_where_it_may(logits):
    logits[END] = 9
    assert END not in draws(logits, may_end=False)
    assert set(draws(logits, temperature=0)) == {END}


def test_top_k_and_top_p_keep_the_likeliest(logits):
    assert set(draws(logits, top_k=2, top_p=1.0)) == {2, 3}
    probs = logits.softmax(0)
    assert set(draws(logits, temperature=1.0, top_k=0, top_p=float(probs[2]) - 0.01)) == {2}
    assert set(draws(logits, temperature=1.0, top_k=0, top_p=float(probs[2]) + 0.01)) == {2, 3}


def test_temperature_changes_the_shares(logits):
    cold = draws(logits, temperature=0.5, top_k=0, top_p=1.0).count(2)
    hot = draws(logits, temperature=2.0, top_k=0, top_p=1.0).count(2)
    assert cold > hot + 50
    share = logits.softmax(0)[2] * 400
    assert abs(draws(logits, temperature=1.0, top_k=0, top_p=1.0).count(2) - share) < 40


def test_a_repeated_token_is_drawn_anew(logits):
    stuck = draws(logits, top_k=1, past=[2] * 10, temperature=1.0)
    free = draws(logits, top_k=1, past=[2] * 10, repetition_share=1.0)
    assert set(free) == {2}
    assert len(set(stuck)) > 2


def test_rows_have_their_own_settings(logits):
    samplings = [Sampling(temperature=0), Sampling(), Sampling(top_k=1), Sampling(temperature=2.0, top_p=1.0)]
    uniforms = torch.rand(4, 2, generator=torch.Generator().manual_seed(3))
    past = [[], [2] * 10, [3], [2, 2]]
    may_end = [True, False, True, True]
    rows = logits.expand(4, -1)
    together = draw_semantic(rows, samplings, may_end, past, uniforms)
    alone = [draw_semantic(rows[:1], [samplings[i]], [may_end[i]], [past[i]], uniforms[i : i + 1]) for i in range(4)]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", -1), ("top_p", 0), ("top_k", -1), ("max_frames", 1), ("seed", -1), ("frames_per_id", 0)],
)
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        Sampling(**{name: value})


def test_moves_are_the_likeliest_or_as_likely_as_the_model_says():
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(3000, -1)
    uniforms = torch.rand(3000, 1, generator=torch.Generator().manual_seed(0))
    assert not draw_moves(logits, [Sampling(temperature=0)] * 3000, uniforms).any()
    shares = torch.bincount(draw_moves(logits, [Sampling(temperature=1)] * 3000, uniforms)) / 3000
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.2]), atol=0.04, rtol=0)
    near = torch.tensor([[0.0, 1e-4]])  # a tie but for rounding is none
    assert draw_moves(near, [Sampling(temperature=0)], torch.zeros(1, 1)).item() == 1
