"""Direct preference optimisation: winners of pairs gain on losers, measured from where a frozen reference stands.

What a frame costs is -log p of its semantic token, which makes it DPO (Rafailov et al. 2023), or the squared error
of the flow head's velocity, which makes it flow-DPO, where beta * (reference - policy) stands for a log-likelihood
ratio. Costs of a speech are sums over its frames, not means: divided by the length, training is unstable.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def reward_margins(policy: Tensor, reference: Tensor, speeches: Tensor, n_pairs: int, beta: float) -> Tensor:
    """How much more than the loser's the policy lowered the winner's cost, times `beta`, of each pair `[n_pairs]`.

    Args:
        policy: `[N]` float32, what each frame costs the model in training.
        reference: `[N]` float32, what it costs the frozen one, by the same random numbers.
        speeches: `[N]` int64, whose frame it is: 2i is the winner of pair i, 2i + 1 its loser.
        n_pairs: how many there are.
        beta: how much of a difference counts as a clear one.
    """
    # Summed last: the costs of a speech are large and nearly equal, what is between them is small.
    gains = policy.new_zeros(2 * n_pairs).index_add(0, speeches, reference - policy)
    winner, loser = gains.view(n_pairs, 2).unbind(1)
    return beta * (winner - loser)


def preference_loss(margins: Tensor) -> Tensor:
    """-log sigmoid(margin), the mean over pairs `[n_pairs]`."""
    return -F.logsigmoid(margins).mean()


def accuracy(margins: Tensor) -> Tensor:
    """The share of pairs whose winner gained more; a draw, as before the first step, counts half."""
    return (margins.sign().mean() + 1) / 2
