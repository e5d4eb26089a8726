"""Train states with a linear softmax policy, updates from given batches, and their expected gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pgexp.algorithms.algorithm import Algorithm, TrainState
from pgexp.algorithms.collector import Collector
from pgexp.algorithms.policy import ObservationNormalizer, Policy
from pgexp.algorithms.reinforce import Reinforce
from pgexp.algorithms.trainer import RunTrainer
from pgexp.baselines.baseline import Baseline, Prediction, Predictor
from pgexp.baselines.none import NoBaseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns
from pgexp.functional.spaces import ActionSpace
from pgexp.networks.feedforward import Linear
from pgexp.networks.heads.discrete import CategoricalHead
from pgexp.networks.network import Network
from tests.episodes import PLAIN


def reinforce(segments: bool = False, episodes: int = 8, **changed: Any) -> Reinforce:
    """Return REINFORCE in its plainest form, except for the settings in `changed`."""
    own = {
        "diagnostics": "light",
        "entropy_coefficient": 0.0,
        "entropy_schedule": "constant",
        "max_grad_norm": None,
        "gradient_transform": None,
    }
    return Reinforce(**{**PLAIN, **own, "episodes": None if segments else episodes, **changed})


def train_state(weight: Floats, baseline: Baseline | None = None, lr: float = 1.0) -> TrainState:
    """Return a state with policy softmax(x @ weight), whose optimizer adds the gradient times `lr`."""
    network = Linear(*weight.shape, bias=False, initialization="zeros", gain=1.0)
    parameters = {"0.weight": torch.from_numpy(weight.astype(np.float64)).requires_grad_()}
    policy = policy_of(network, weight.shape[1])
    return TrainState(policy, parameters, torch.optim.SGD(parameters.values(), lr=lr), baseline or NoBaseline())


def policy_of(network: Network, actions: int, dtype: torch.dtype = torch.float64) -> Policy:
    """Return the policy whose network outputs are the logits of this number of actions."""
    head = CategoricalHead(ActionSpace("discrete", 1, (actions,)))
    return Policy(ObservationNormalizer(dtype, None, None), network, head)


def learn_from(trainer: RunTrainer, batch: Batch) -> dict[str, float]:
    """Update a trainer from a given batch; return the metrics."""
    trainer.collector = FixedCollector(batch)
    return trainer.update()


class FixedCollector(Collector):
    """A collector that returns a given batch."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def collect(self) -> Batch:
        return self._batch


def update(algorithm: Algorithm, state: TrainState, batch: Batch, progress: float = 0.0) -> dict[str, float]:
    """Update the train state from a batch; return the metrics."""
    return algorithm.update(state, FixedCollector(batch), progress)[1]


def weight_change(algorithm: Reinforce, state: TrainState, batch: Batch) -> Floats:
    """Return the change of the weight [inputs, actions] by one update, which equals the gradient."""
    before = weight_of(state)
    update(algorithm, state, batch)
    return weight_of(state) - before


def weight_of(state: TrainState) -> Floats:
    """Return a copy of the train state's weight [inputs, actions]."""
    return state.parameters["0.weight"].detach().numpy().copy()


def probabilities(weight: Floats, observations: Floats) -> Floats:
    """Return the softmax policy's probabilities, [S, actions]."""
    powers = np.exp(observations @ weight)
    return powers / powers.sum(1, keepdims=True)


def policy_gradient(weight: Floats, batch: Batch, weights: Sequence[float]) -> Floats:
    """Return ``sum_t w_t grad log pi(a_t | s_t)`` of the linear softmax policy: ``outer(s, onehot(a) - p)`` each."""
    of_logits = np.eye(weight.shape[1])[batch.actions] - probabilities(weight, batch.observations)
    return np.einsum("s,si,sa->ia", np.array(weights), batch.observations, of_logits)


class Stub(Predictor):
    """Predicts a constant for each step and the sum of each final observation; records the returns of its updates."""

    biased = False

    def __init__(self, value: float = 0.0) -> None:
        self.value = value
        self.fitted: list[Returns] = []

    def predict(self, batch: Batch) -> Prediction:
        return Prediction(np.full(batch.steps, self.value), batch.final.sum(1).astype(np.float64))

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        self.fitted.append(returns)
        return {}
