"""Hand-made students and the gradient that a batch gives them, for tests of learning."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pgexp.baselines.baseline import Baseline, Prediction, Predictor
from pgexp.baselines.none import NoBaseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Credit
from pgexp.functional.spaces import ActionSpace
from pgexp.learning.algorithm import Student
from pgexp.learning.observer import Observer
from pgexp.learning.policy import Policy
from pgexp.learning.reinforce import Reinforce
from pgexp.networks.heads.categorical import CategoricalHead
from pgexp.networks.linear import Linear
from pgexp.networks.network import Network
from tests.episodes import PLAIN


def reinforce(segments: bool = False, episodes: int = 8, **changed: Any) -> Reinforce:
    """Return REINFORCE in its plainest form, except for the settings in `changed`."""
    own = {
        "diagnostics": "light",
        "entropy_coefficient": 0.0,
        "entropy_schedule": "constant",
        "max_grad_norm": None,
        "direction": None,
    }
    return Reinforce(**{**PLAIN, **own, "episodes": None if segments else episodes, **changed})


def student_of(weight: Floats, baseline: Baseline | None = None) -> Student:
    """Return a student whose policy is the softmax of ``x @ weight``; its optimizer adds the gradient, unscaled."""
    network = Linear(*weight.shape, bias=False, initialization="zeros", gain=1.0)
    parameters = {"0.weight": torch.from_numpy(weight.astype(np.float64)).requires_grad_()}
    policy = policy_of(network, weight.shape[1])
    return Student(policy, parameters, torch.optim.SGD(parameters.values(), lr=1.0), baseline or NoBaseline())


def policy_of(network: Network, actions: int, dtype: torch.dtype = torch.float64) -> Policy:
    """Return the policy whose network outputs are the logits of this number of actions."""
    head = CategoricalHead(ActionSpace("discrete", 1, (actions,)))
    return Policy(Observer(dtype, None, None), network, head)


def ascended(algorithm: Reinforce, student: Student, batch: Batch) -> Floats:
    """Return the change of the student's weight [inputs, actions] by one update, which equals the gradient."""
    before = weight_of(student)
    algorithm.update(student, batch, progress=0.0)
    return weight_of(student) - before


def weight_of(student: Student) -> Floats:
    """Return a copy of the student's weight [inputs, actions]."""
    return student.parameters["0.weight"].detach().numpy().copy()


def probabilities(weight: Floats, observations: Floats) -> Floats:
    """Return the softmax policy's probabilities, [S, actions]."""
    powers = np.exp(observations @ weight)
    return powers / powers.sum(1, keepdims=True)


def sum_of_scores(weight: Floats, batch: Batch, weights: Sequence[float]) -> Floats:
    """Return ``sum_t w_t grad log pi(a_t | s_t)`` of the linear softmax policy: ``outer(s, onehot(a) - p)`` each."""
    scores = np.eye(weight.shape[1])[batch.actions] - probabilities(weight, batch.observations)
    return np.einsum("s,si,sa->ia", np.array(weights), batch.observations, scores)


class Stub(Predictor):
    """Predicts a constant for each step and the sum of each final observation. Records the credits of its updates."""

    biased = False

    def __init__(self, value: float = 0.0) -> None:
        self.value = value
        self.learnt: list[Credit] = []

    def predict(self, batch: Batch) -> Prediction:
        return Prediction(np.full(batch.steps, self.value), batch.final.sum(1).astype(np.float64))

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        self.learnt.append(credit)
        return {}
