"""Lost packets: as many as asked for, in bursts or not; receivers leave alone what was not lost."""

import numpy as np
import pytest
import torch
from tiny import make_codec

from codec.bitstream import TokenModel
from codec.tokenizer import Tokenizer
from eval.packet_loss import BURST, LOSS_IN_BURST, PATTERNS, RECEIVERS, Receiver, bursts

N = 40_000


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("name", PATTERNS)
def test_rate(name, rate):
    lost = PATTERNS[name](rate, N, seed=1)
    assert lost.shape == (N,)
    assert abs(lost.mean() - rate) < 0.15 * rate + 0.001
    assert not PATTERNS[name](0.0, N).any()
    np.testing.assert_array_equal(PATTERNS[name](rate, N, seed=1), lost)


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_bursts_come_together(rate):
    """After a lost packet the next one is lost with the probability of the chain."""
    lost = bursts(rate, N, seed=2)
    share = rate / LOSS_IN_BURST
    again = LOSS_IN_BURST * (1 - 1 / BURST)
    assert abs(lost[1:][lost[:-1]].mean() - again) < 0.03
    assert share < again
    with pytest.raises(ValueError, match=r"rate = 0\.75: expected 0 to 0\.75"):
        bursts(0.75, 1)


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    tokenizer = Tokenizer(make_codec().requires_grad_(False))
    sizes, ordinal = tokenizer.config.codebook_sizes, tokenizer.config.quantizer.ordinal
    model = TokenModel(sizes, ordinal, (1, len(sizes)), width=8, embedding=4)
    tokenizer.__dict__["token_model"] = model.requires_grad_(False)
    return tokenizer


@pytest.mark.parametrize("receiver", RECEIVERS, ids=lambda receiver: receiver.name)
def test_what_comes_before_a_loss_stays(tokenizer, receiver):
    c = tokenizer.config
    tokens = tokenizer.encode(0.1 * torch.randn(12 * c.hop_length - 7), c.sample_rate)
    lost = np.zeros(12, bool)
    whole = tokenizer.decode(tokens)[0]
    assert torch.equal(receiver.play(tokenizer, tokens, lost), whole)
    lost[5:10] = True
    played = receiver.play(tokenizer, tokens, lost)
    assert played.shape == whole.shape
    torch.testing.assert_close(played[: 5 * c.hop_length], whole[: 5 * c.hop_length])
    assert not torch.equal(played, whole)
    silent = played[9 * c.hop_length : 10 * c.hop_length]
    assert bool(silent.any()) == bool(receiver.copied), "after 320 ms, unless there was a copy"


def test_predicting_needs_a_token_model(tokenizer):
    other = Tokenizer(tokenizer.model)
    tokens = other.encode(torch.randn(5000), other.config.sample_rate)
    with pytest.raises(ValueError, match="predict: the codec has no token model"):
        Receiver("predict", predicts=True).play(other, tokens, np.zeros(tokens.codes.shape[2], bool))
