"""Concealment: what arrived stays, what did not is predicted, and what is lost for long fades."""

import pytest
import torch

from codec.bitstream import TokenModel, conceal, fade
from train.token_start import start

SIZES, ENDS, K = (16, 5, 5, 5, 5), (1, 3, 5), 5


def speech(n_utterances, n_frames, seed):
    """Entries that stay for four frames, and levels that only depend on them; `[n, K, n_frames]`."""
    generator = torch.Generator().manual_seed(seed)
    entries = torch.randint(16, (n_utterances, n_frames // 4), generator=generator).repeat_interleave(4, dim=1)
    return torch.stack([entries, *((entries * step // 3) % 5 for step in (1, 2, 4, 5))], dim=1)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = TokenModel(SIZES, (False, *[True] * 4), ENDS, width=16, past=2, embedding=4)
    start(model, torch.cat([part for codes in speech(100, 40, 0) for part in (model.padding(), codes)], dim=1))
    return model.requires_grad_(False)


def error(codes, other):
    return float((codes - other).abs()[1:].float().mean())  # of levels


@pytest.mark.parametrize("look_ahead", [False, True])
@pytest.mark.parametrize("with_model", [False, True])
def test_what_arrived_stays(model, with_model, look_ahead):
    codes = speech(1, 40, 1)[0]
    received = torch.randint(0, K + 1, (40,), generator=torch.Generator().manual_seed(2))
    arrived = torch.arange(K)[:, None] < received
    found = conceal(torch.where(arrived, codes, 0), received, model if with_model else None, look_ahead)
    assert torch.equal(found[arrived], codes[arrived])
    assert (found >= 0).all()
    assert (found < torch.tensor(SIZES)[:, None]).all()
    again = conceal(torch.where(arrived, codes, 1), received, model if with_model else None, look_ahead)
    assert torch.equal(again, found), "reads codes that did not arrive"


def test_without_a_model_the_frame_before_repeats():
    codes = speech(1, 8, 1)[0]
    found = conceal(codes, torch.tensor([5, 5, 5, 0, 0, 1, 5, 0]))
    assert torch.equal(found[:, 3], codes[:, 2])
    assert torch.equal(found[:, 4], codes[:, 2])
    assert torch.equal(found[1:, 5], codes[1:, 2])
    assert found[0, 5] == codes[0, 5]


def test_the_model_predicts_levels_from_the_frame_before_and_from_entries_that_arrived(model):
    codes, received = speech(1, 40, 1)[0], torch.full((40,), K)
    received[4::4] = 1  # where entries change
    middle = torch.full_like(codes, 2)
    known = conceal(codes, received, model)
    assert error(known, codes) < 0.5 * error(conceal(codes, received), codes)
    received[:] = K
    received[5::4] = 0  # where they stay
    assert error(conceal(codes, received, model), codes) < 0.5 * error(torch.where(received > 0, codes, middle), codes)


def test_the_frame_after_moves_levels(model):
    codes, received = speech(1, 40, 1)[0], torch.full((40,), K)
    received[3::4] = 0  # the last of an entry, so that another one follows
    causal, later = (conceal(codes, received, model, look_ahead) for look_ahead in (False, True))
    assert torch.equal(causal[0], later[0])
    assert not torch.equal(causal[:, :-1], later[:, :-1])
    after = codes.roll(-1, dims=1)
    for t in range(3, 36, 4):
        assert ((later - after)[1:, t].abs() <= (causal - after)[1:, t].abs()).all()


def test_long_losses_cost_little(model):
    codes = speech(1, 40, 1)[0]
    found = conceal(
        torch.cat([codes, torch.zeros(K, 2**15, dtype=torch.int64)], dim=1), torch.tensor([5] * 40 + [0] * 2**15), model
    )
    assert (found[:, -1] == found[:, 60]).all()


def test_fading():
    rate, hop = 1000, 80
    received = torch.tensor([0, 0, 5, 1, 0, 0, 0, 0, 0, 5, 0, 5])
    gain = fade(torch.ones(12 * hop - 5), received, hop, rate)
    assert len(gain) == 12 * hop - 5
    assert not gain[: 2 * hop].any(), "nothing has arrived yet"
    assert (gain[2 * hop + 10 : 4 * hop + 121] == 1).all(), "received, and the first 120 ms of a loss"
    assert (gain[4 * hop : 9 * hop].diff() <= 0).all()
    assert not gain[4 * hop + 240 : 9 * hop].any()
    assert (gain[9 * hop : 9 * hop + 10].diff() > 0).all()
    assert (gain[9 * hop + 10 :] == 1).all(), "short losses do not fade"
    assert (fade(torch.ones(160), torch.tensor([5, 5]), hop, rate) == 1).all()
