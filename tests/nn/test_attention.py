"""Blocked attention against the plain definition."""

import math

import pytest
import torch

from codec.nn import attention
from codec.nn.attention import WindowAttention, alibi_slopes
from codec.nn.state import Span


def plain(layer: WindowAttention, x: torch.Tensor, window: int) -> torch.Tensor:
    """FACTS 2.8, pair by pair: keys i - window .. i, score q.k / sqrt(d) + slope * (j - i)."""
    d = layer.head_dim
    q, k, v = layer.qkv(x).split((layer.q_dim, layer.kv_dim, layer.kv_dim), dim=2)
    q, k = layer.q_norm(q), layer.k_norm(k)
    out = torch.zeros_like(q)
    for h, slope in enumerate(alibi_slopes(layer.n_heads)):
        g = h * layer.n_kv_heads // layer.n_heads
        qh, kh, vh = q[..., h * d : (h + 1) * d], k[..., g * d : (g + 1) * d], v[..., g * d : (g + 1) * d]
        for i in range(x.shape[1]):
            keys = range(max(0, i - window), i + 1)
            scores = torch.stack([(qh[:, i] * kh[:, j]).sum(-1) / math.sqrt(d) + slope * (j - i) for j in keys], -1)
            weights = scores.softmax(-1)
            out[:, i, h * d : (h + 1) * d] = sum(weights[:, n, None] * vh[:, j] for n, j in enumerate(keys))
    return layer.out(out)


@pytest.mark.parametrize(("window", "steps"), [(1, 1), (2, 40), (16, 33), (20, 50), (40, 35)])
@pytest.mark.parametrize(("n_heads", "n_kv_heads"), [(4, 4), (6, 2)])
def test_equals_the_plain_definition(window, steps, n_heads, n_kv_heads):
    torch.manual_seed(0)
    layer = WindowAttention(12, n_heads, n_kv_heads, 5, window, 1e-6).double()
    x = torch.randn(2, steps, 12, dtype=torch.float64)
    tail = torch.full((2, *layer.tail_shape), torch.nan, dtype=torch.float64).nan_to_num(7.0)  # stale, to be ignored
    y, _ = layer(x, tail, Span(torch.zeros(2, dtype=torch.int64), None))
    torch.testing.assert_close(y, plain(layer, x, window), atol=1e-6, rtol=1e-6)


def test_disputed_constants():
    """Where public implementations disagree, the authors' serving code is followed."""
    assert attention.ALIBI_FIRST_POWER == 0
    assert alibi_slopes(8).tolist() == [2.0**-h for h in range(8)]
    assert attention.CURRENT_KEYS == 1
    assert WindowAttention(8, 2, 2, 4, 16, 1e-6).tail_shape[0] == 16


def test_alibi_variant_is_one_constant(monkeypatch):
    monkeypatch.setattr(attention, "ALIBI_FIRST_POWER", 1)
    assert alibi_slopes(8).tolist() == [2.0 ** -(h + 1) for h in range(8)]
