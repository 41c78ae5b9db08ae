"""Direct preference optimisation (DPO): raise winners of pairs over losers, relative to a frozen reference.

The cost of a frame is -log p of its semantic token (DPO, Rafailov et al. 2023), or the squared error of the flow head's
velocity (flow-DPO), where beta * (reference - policy) stands for a log-likelihood ratio. The cost of an utterance is
the sum over its frames: with the mean, training is unstable.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def reward_margins(policy: Tensor, reference: Tensor, utterance: Tensor, n_pairs: int, beta: float) -> Tensor:
    """Reward of the winner minus that of the loser, `[n_pairs]`; a reward is `beta` times the decrease in cost.

    Args:
        policy: `[N]` float32, cost of each frame by the model in training.
        reference: `[N]` float32, cost by the frozen reference, with the same random numbers.
        utterance: `[N]` int64, utterance of each frame: 2i is the winner of pair i, 2i + 1 its loser.
        n_pairs: number of pairs.
        beta: scale of the rewards.
    """
    # Subtracted before the sum: the costs of an utterance are large, their difference is small.
    gains = policy.new_zeros(2 * n_pairs).index_add(0, utterance, reference - policy)
    winner, loser = gains.view(n_pairs, 2).unbind(1)
    return beta * (winner - loser)


def preference_loss(margins: Tensor) -> Tensor:
    """-log sigmoid(margin), the mean over pairs `[n_pairs]`."""
    return -F.logsigmoid(margins).mean()


def accuracy(margins: Tensor) -> Tensor:
    """Share of pairs with a positive margin; 0, as before the first step, counts half."""
    return (margins.sign().mean() + 1) / 2
