"""Interface of baselines."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

import numpy as np
from torch import Tensor

from pgexp.functional.arrays import Floats, Ints
from pgexp.functional.batch import Batch, Returns


class Baseline(ABC):
    """A function that is subtracted from each step's return: the advantage is ``A_t = G_t - b_t``.

    Each update calls `values` before `update`, so that a step's baseline does not depend on its own return unless the
    formula says so. A constructor may take arguments that pgexp passes: `inputs` (the observation's size), `shape` (its
    shape), `seed`, `dtype`, `gamma` (the discount), and the functions `per_episode_gradients`, `greedy` and `shared`.
    """

    @property
    @abstractmethod
    def biased(self) -> bool:
        """Whether it biases the gradient estimate, apart from discounting: ``biased = False`` in the class."""

    state_attributes: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes that change during training; a checkpoint saves them. They are numbers, strings, arrays,
    tensors, optimizers, or lists, mappings and dataclasses of these."""

    min_episodes: ClassVar[Mapping[str, int]] = {}
    """The smallest number of episodes per batch for each `algorithm.return_type`; 1 if it is not listed."""

    required_return_type: ClassVar[str | None] = None
    """The only `algorithm.return_type` that the formula supports; None for any."""

    requires_whole_episodes: ClassVar[bool] = False
    """Whether it needs batches of whole episodes, not of segments."""

    collects_rewards: ClassVar[bool] = False
    """Whether it collects further rewards, which are neither scaled nor clipped."""

    @abstractmethod
    def values(self, batch: Batch, returns: Returns) -> Floats:
        """Return the baseline of each step, [S]."""

    @abstractmethod
    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Fit the baseline to the batch, after `values` was called for it; return metrics by name."""


class Prediction(NamedTuple):
    """Expected returns-to-go of a batch, predicted without its returns."""

    per_step: Floats  # [S], from each step's observation
    final: Floats  # [E], from the observation after each episode's last step in the batch, as if it continued

    @classmethod
    def constant(cls, value: float, batch: Batch) -> "Prediction":
        """Return the prediction of one value everywhere."""
        return cls(np.full(batch.steps, value), np.full(len(batch.lengths), value))


class Predictor(Baseline):
    """A baseline that can be evaluated at unseen observations, as bootstrapping requires."""

    @abstractmethod
    def predict(self, batch: Batch) -> Prediction:
        """Return the expected returns-to-go."""

    def values(self, batch: Batch, returns: Returns) -> Floats:
        """Return the prediction at each step's observation, [S]."""
        return self.predict(batch).per_step


class JointPredictor(Predictor):
    """A predictor that is an output of the policy's network, fitted by the policy's optimizer step."""

    @abstractmethod
    def loss(self, values: Tensor, returns: Returns) -> Tensor:
        """Return the term that is added to the policy's loss, []. values: [S], with their gradient."""


PerEpisodeGradients = Callable[[Batch, Floats], Floats]
"""Returns each episode's ``sum_t w_t grad log pi(a_t | s_t)``, [E, P], for weights w, [S]. P counts all parameters."""

SharedValues = Callable[[Batch], Prediction]
"""Returns the prediction of the policy's network, which has one more output for it, without gradients."""


class Replay(NamedTuple):
    """Episodes played again from the same initial states."""

    rewards: Floats  # [S'], episode after episode
    lengths: Ints  # [E]


GreedyReplay = Callable[[Batch], Replay]
"""Plays each episode of a batch again with greedy actions, from the same seed of its environment."""
