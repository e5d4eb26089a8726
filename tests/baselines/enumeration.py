"""A tiny environment whose episodes can be enumerated, with a softmax policy's exact probabilities and gradient.

There are three episodes. In state A, action 1 pays 1 and ends the episode; action 0 pays 1/2 and leads to state B. In
B, action 0 pays -1 and action 1 pays 2. Episodes have different lengths, so means over steps and episodes differ.
"""

import numpy as np
import torch

from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch
from pgexp.functional.returns import episode_sums
from tests.episodes import Episode

A, B = [1.0, 0.0], [0.0, 1.0]
EPISODES = (
    Episode([A], [1], [1]),
    Episode([A, B], [0, 0], [0.5, -1]),
    Episode([A, B], [0, 1], [0.5, 2]),
)
CHANCES = np.array([[0.6, 0.4], [1 / 3, 2 / 3]])  # probabilities of the actions, in A and in B
WEIGHT = np.log(CHANCES)  # their logits


def step_scores(batch: Batch) -> Floats:
    """Return ``grad log pi(a_t | s_t) = outer(s, onehot(a) - p)`` of each step, [S, 4]."""
    powers = np.exp(batch.observations @ WEIGHT)
    chances = powers / powers.sum(1, keepdims=True)
    return np.einsum("si,sa->sia", batch.observations, np.eye(2)[batch.actions] - chances).reshape(-1, 4)


def per_episode_gradients(batch: Batch, weights: Floats) -> Floats:
    """Return ``sum_t w_t grad log pi(a_t | s_t)`` per episode, [E, 4]."""
    weighed = weights[:, None] * step_scores(batch)
    return np.array([episode_sums(column, batch.lengths) for column in weighed.T]).T


def probability(episode: Episode) -> float:
    """Return the episode's probability under the policy."""
    states = np.argmax(episode.observations, axis=1)
    return float(np.prod(CHANCES[states, episode.actions]))


def exact_gradient(gamma: float = 1.0) -> Floats:
    """Return the gradient of ``J = p_A(1) + p_A(0) (1/2 + gamma (2 p_B(1) - p_B(0)))``, computed by torch."""
    weight = torch.tensor(WEIGHT, requires_grad=True)
    at_a, at_b = torch.softmax(weight, 1)
    (at_a[1] + at_a[0] * (0.5 + gamma * (2 * at_b[1] - at_b[0]))).backward()
    return weight.grad.numpy().ravel()
