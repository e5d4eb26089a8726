"""Batches and students made by hand, and the gradient that they give: what tests of learning start from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from pgexp.baselines.baseline import Baseline, Predictor
from pgexp.baselines.none import NoBaseline
from pgexp.functional.arrays import Floats, Observations
from pgexp.functional.batch import Batch, Credit
from pgexp.functional.distributions import Categorical
from pgexp.learning.algorithm import Student
from pgexp.learning.policy import Policy
from pgexp.learning.reinforce import Reinforce
from pgexp.networks.linear import Linear


@dataclass(frozen=True)
class Episode:
    """An episode, or the part of it that a segment holds: a row of observations, an action and a reward a step."""

    observations: Sequence[Sequence[float]]
    actions: Sequence[int]
    rewards: Sequence[float]
    end: Literal["terminated", "truncated", "open"] = "terminated"
    final: Sequence[float] | None = None
    first: int = 0


def batch_of(*episodes: Episode) -> Batch:
    """Return the batch of these episodes, in double precision."""
    size = len(episodes[0].observations[0])
    return Batch(
        observations=np.array([row for episode in episodes for row in episode.observations], dtype=np.float64),
        actions=np.array([action for episode in episodes for action in episode.actions]),
        rewards=np.array([reward for episode in episodes for reward in episode.rewards], dtype=np.float64),
        lengths=np.array([len(episode.rewards) for episode in episodes]),
        first=np.array([episode.first for episode in episodes]),
        terminated=np.array([episode.end == "terminated" for episode in episodes]),
        truncated=np.array([episode.end == "truncated" for episode in episodes]),
        final=np.array([episode.final or [0.0] * size for episode in episodes], dtype=np.float64),
        returns=np.array([float(sum(episode.rewards)) for episode in episodes]),
    )


def reinforce(segments: bool = False, episodes: int = 8, **changed: Any) -> Reinforce:
    """Return REINFORCE in its plainest form, but for what is changed."""
    plain = {
        "gamma": 1.0,
        "credit": "reward_to_go",
        "discount_states": False,
        "advantage_scale": "none",
        "entropy_coefficient": 0.0,
        "max_grad_norm": None,
        "time_limit": "end",
        "open_tail": "bootstrap",
    }
    return Reinforce(None if segments else episodes, **{**plain, **changed})


def student_of(weight: Floats, baseline: Baseline | None = None) -> Student:
    """Return a student whose policy is the softmax of ``x @ weight``; its optimizer adds the gradient, unscaled."""
    inputs, actions = weight.shape
    network = Linear(inputs, actions, bias=False, initialization="zeros", gain=1.0)
    parameters = {"0.weight": torch.from_numpy(weight.astype(np.float64)).unsqueeze(0).requires_grad_()}
    return Student(
        Policy(network, Categorical(actions), torch.float64),
        parameters,
        torch.optim.SGD(parameters.values(), lr=1.0),
        baseline or NoBaseline(),
    )


def ascended(algorithm: Reinforce, student: Student, batch: Batch) -> Floats:
    """Return what one update adds to the student's weight, [inputs, actions]: with its optimizer, the gradient."""
    before = weight_of(student)
    algorithm.update(student, batch)
    return weight_of(student) - before


def weight_of(student: Student) -> Floats:
    return student.parameters["0.weight"].detach()[0].numpy().copy()


def probabilities(weight: Floats, observations: Floats) -> Floats:
    """Return the softmax policy's probabilities, [S, actions]."""
    powers = np.exp(observations @ weight)
    return powers / powers.sum(1, keepdims=True)


def sum_of_scores(weight: Floats, batch: Batch, weights: Sequence[float]) -> Floats:
    """Return ``sum_t w_t grad log pi(a_t | s_t)`` of the linear softmax policy: ``outer(s, onehot(a) - p)`` each."""
    scores = np.eye(weight.shape[1])[batch.actions] - probabilities(weight, batch.observations)
    return np.einsum("s,si,sa->ia", np.array(weights), batch.observations, scores)


class Stub(Baseline, Predictor):
    """Predicts the sum of an observation, values every step at a constant, and remembers what it was asked."""

    biased = False

    def __init__(self, value: float = 0.0) -> None:
        self.value = value
        self.asked: list[Any] = []
        self.learnt: list[Credit] = []

    def values(self, batch: Batch, credit: Credit) -> Floats:
        return np.full(batch.steps, self.value)

    def predict(self, observations: Observations) -> Floats:
        self.asked += observations.tolist()
        return observations.sum(1).astype(np.float64)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        self.learnt.append(credit)
        return {}
