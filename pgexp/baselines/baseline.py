"""What a baseline is to pgexp."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

import numpy as np
from torch import Tensor

from pgexp.functional.arrays import Floats, Ints
from pgexp.functional.batch import Batch, Credit


class Baseline(ABC):
    """What is subtracted from each step's credit before it weighs the step's score.

    A batch is first valued, then learnt from, so that no step's baseline has seen its own return unless its formula
    says so. A constructor may take what assembly hands in: `inputs` (the observation's size), `shape` (its shape),
    `seed`, `dtype`, `gamma` (the discount), and the functions below, `scores`, `greedy` and `shared`.
    """

    @property
    @abstractmethod
    def biased(self) -> bool:
        """Whether the gradient estimate is biased by it, discounting left aside: ``biased = False`` in the class."""

    remembered: ClassVar[tuple[str, ...]] = ()
    """The attributes that change as it learns: what a checkpoint holds of it. They are numbers, texts, arrays, tensors,
    optimizers, or lists, mappings and dataclasses of these."""

    least_episodes: ClassVar[Mapping[str, int]] = {}
    """The fewest episodes of a batch that its formula makes sense for, by what is credited; 1 where nothing is said."""

    only_credit: ClassVar[str | None] = None
    """The one `algorithm.credit` that its formula makes sense for; None where it does for any."""

    whole_episodes: ClassVar[bool] = False
    """Whether it needs batches of whole episodes, not of segments."""

    own_rewards: ClassVar[bool] = False
    """Whether it collects rewards of its own, which are neither scaled nor clipped."""

    @abstractmethod
    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return the baseline of each step, [S]."""

    @abstractmethod
    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn from the batch, after it was valued; return metrics by name."""


class Prediction(NamedTuple):
    """What a baseline expects of a batch whose returns it has not seen."""

    of_steps: Floats  # [S], the return-to-go from each step's observation
    final: Floats  # [E], from the observation after each episode's last step held, were it to go on

    @classmethod
    def constant(cls, value: float, batch: Batch) -> "Prediction":
        """Return the prediction of one value everywhere."""
        return cls(np.full(batch.steps, value), np.full(len(batch.lengths), value))


class Predictor(Baseline):
    """A baseline that can be evaluated at an observation whose return was not seen: what bootstraps."""

    @abstractmethod
    def predict(self, batch: Batch) -> Prediction:
        """Return the expected returns-to-go."""

    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return the prediction at each step's observation, [S]."""
        return self.predict(batch).of_steps


class JointPredictor(Predictor):
    """A predictor that is an output of the policy's own network, and is fitted by the policy's own step."""

    @abstractmethod
    def loss(self, values: Tensor, credit: Credit) -> Tensor:
        """Return what the policy's loss is added to. values: [S], with their gradient; the result: []."""


Scores = Callable[[Batch, Floats], Floats]
"""Returns each episode's ``sum_t w_t grad log pi(a_t | s_t)``, [E, P], for weights w, [S]. P counts all parameters."""

SharedValues = Callable[[Batch], Prediction]
"""Returns what the policy's network, which then has one output more, predicts of a batch, without gradients."""


class Replay(NamedTuple):
    """Episodes played again from the same first states."""

    rewards: Floats  # [S'], episode after episode
    lengths: Ints  # [E]


GreedyReplay = Callable[[Batch], Replay]
"""Plays each episode of a batch again, on the same stream of its environment, taking the most probable actions."""
