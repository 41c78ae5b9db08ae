"""Preference losses: the numbers of the formulas, and which way a step goes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from train.losses.preference import accuracy, preference_loss, reward_margins

COSTS = st.lists(st.floats(-50, 50, width=32), min_size=6, max_size=6)
SPEECHES = torch.tensor([0, 0, 1, 2, 3, 3])  # two frames of the first winner, one of its loser, ...


def test_semantic_dpo_by_hand():
    """-log sigmoid(0.1 * [(log pi(w) - log ref(w)) - (log pi(l) - log ref(l))])."""
    policy, reference = torch.tensor([0.5, 0.25, 0.2]), torch.tensor([0.4, 0.2, 0.25])  # p of w, w, l
    margins = reward_margins(-policy.log(), -reference.log(), torch.tensor([0, 0, 1]), 1, 0.1)
    winner = math.log(0.5 * 0.25) - math.log(0.4 * 0.2)
    loser = math.log(0.2) - math.log(0.25)
    assert margins.tolist() == pytest.approx([0.1 * (winner - loser)])
    assert float(preference_loss(margins)) == pytest.approx(-math.log(1 / (1 + math.exp(-0.1 * (winner - loser)))))


def test_flow_dpo_by_hand():
    """-log sigmoid(-0.5 * (delta_policy - delta_reference)), delta = the winner's errors less the loser's."""
    policy = torch.tensor([3.0, 4.0, 6.0, 2.0, 1.0, 1.0])
    reference = torch.tensor([4.0, 5.0, 5.0, 1.0, 1.0, 3.0])
    deltas = [(7 - 6) - (9 - 5), (2 - 2) - (1 - 4)]  # of policy less reference
    margins = reward_margins(policy, reference, SPEECHES, 2, 0.5)
    assert margins.tolist() == [-0.5 * delta for delta in deltas] == [1.5, -1.5]
    expected = sum(-math.log(1 / (1 + math.exp(-m))) for m in (1.5, -1.5)) / 2
    assert float(preference_loss(margins)) == pytest.approx(expected)
    assert float(accuracy(margins)) == 0.5


def test_a_model_that_is_its_reference_is_undecided():
    costs = torch.rand(6)
    margins = reward_margins(costs, costs, SPEECHES, 2, 0.5)
    assert margins.tolist() == [0, 0]
    assert float(preference_loss(margins)) == pytest.approx(math.log(2))
    assert float(accuracy(margins)) == 0.5


@settings(deadline=None)
@given(COSTS, COSTS)
def test_swapping_winner_and_loser_mirrors(policy, reference):
    policy, reference = torch.tensor(policy), torch.tensor(reference)
    margins = reward_margins(policy, reference, SPEECHES, 2, 0.1)
    swapped = reward_margins(policy, reference, SPEECHES ^ 1, 2, 0.1)
    assert torch.equal(margins, -swapped)
    gap = preference_loss(swapped) - preference_loss(margins)
    assert float(gap) == pytest.approx(float(margins.mean()), abs=1e-4)


@settings(deadline=None)
@given(COSTS, COSTS)
def test_the_gradient_lowers_what_winners_cost_and_raises_what_losers_do(policy, reference):
    policy = torch.tensor(policy, requires_grad=True)
    margins = reward_margins(policy, torch.tensor(reference), SPEECHES, 2, 0.1)
    preference_loss(margins).backward()
    sign = torch.where(SPEECHES % 2 == 0, 1.0, -1.0)
    expected = sign * 0.1 * torch.sigmoid(-margins.detach())[SPEECHES // 2] / 2  # of two pairs
    torch.testing.assert_close(policy.grad, expected)


def test_lengths_are_not_divided_by():
    policy, reference = torch.rand(6), torch.rand(6)
    once = reward_margins(policy, reference, SPEECHES, 2, 0.1)
    twice = reward_margins(policy.repeat(2), reference.repeat(2), SPEECHES.repeat(2), 2, 0.1)
    torch.testing.assert_close(twice, 2 * once)


def test_small_differences_of_large_costs_count():
    """Sums of 1,000 nats in float32 are exact to 6e-5 only; the first steps of a small rate move less."""
    policy = torch.full((200,), 5.0)
    reference = policy.clone()
    policy[0] = 5.0 - 1e-6
    margins = reward_margins(policy, reference, torch.arange(200) // 100, 1, 1.0)
    assert float(margins) == pytest.approx(1e-6, rel=0.1)
