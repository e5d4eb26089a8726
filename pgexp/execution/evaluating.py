"""Evaluation of a trained policy, on streams of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import pgexp
from pgexp.envs.spec import EnvSpec
from pgexp.execution.assembly import make_evaluator, make_spec
from pgexp.execution.policies import TrainedPolicy, read_env
from pgexp.functional.arrays import Floats, Ints
from pgexp.learning.evaluator import Outcome, Subject
from pgexp.learning.failure import RunError
from pgexp.networks.parameters import ParameterVector
from pgexp.schema.errors import ConfigError, Problem
from pgexp.statistics.intervals import t_interval
from pgexp.storage.video import write_video

_PERCENTILES = {"min": 0, "p5": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95, "max": 100}


@dataclass(frozen=True)
class Request:
    """How a policy is evaluated: on how many episodes, greedily or not, and on which of its run's streams."""

    episodes: int
    greedy: bool
    seed: int
    policy: Literal["final", "best"] = "final"

    @property
    def name(self) -> str:
        """What the evaluation is called, and its file."""
        count = f"{self.episodes}-episode{'' if self.episodes == 1 else 's'}"
        of = "" if self.policy == "final" else f"{self.policy}-"
        return f"{of}{count}-{'greedy' if self.greedy else 'sampled'}-seed-{self.seed}"


class TrainedEvaluation:
    """An evaluation of a trained policy; the same one gives the same numbers."""

    def __init__(self, trained: TrainedPolicy, request: Request) -> None:
        """Make the environment. Raises ConfigError where it can't be made, or is not what it was in training."""
        self.trained, self.request = trained, request
        self.env = _spec(trained)
        self.subject = Subject(trained.description.seed, f"after-{request.seed}")
        parameters = ParameterVector.of(trained.parameters)
        self._evaluator = make_evaluator(self.env, trained.policy, parameters, trained.description.num_envs)

    def run(self) -> Iterator[Outcome]:
        """Play the episodes; yield the outcome as it fills. Raises ConfigError if a number is not finite."""
        episodes, greedy = self.request.episodes, self.request.greedy
        try:
            yield from self._evaluator.follow(self.trained.parameters, self.subject, episodes, greedy)
        except RunError as error:
            raise ConfigError([Problem("run", str(error))]) from error

    def film(self, path: Path) -> None:
        """Play the first episode again, and write its films: an MP4 at the path, and a GIF beside it."""
        episodes, greedy = self.request.episodes, self.request.greedy
        frames = self._evaluator.film(self.env.filmed(), self.trained.parameters, self.subject, episodes, greedy)
        write_video(path, frames, self.env.frames_per_second)

    def show(self, episode: int) -> Iterator[int]:
        """Play an episode again in a window, step by step. Raises ConfigError where that can't be."""
        parameters, episodes, greedy = self.trained.parameters, self.request.episodes, self.request.greedy
        try:
            yield from self._evaluator.replay(self.env.shown(), parameters, self.subject, episodes, greedy, episode)
        except Exception as error:  # a renderer may raise anything
            text = f"{self.env.id} can't be shown here: {type(error).__name__}: {error}"
            raise ConfigError([Problem("render", text)]) from error

    def close(self) -> None:
        """Release the environments."""
        self._evaluator.close()


def _spec(trained: TrainedPolicy) -> EnvSpec:
    described = trained.description
    env = make_spec(read_env(described))
    if env.action_space != described.space or list(env.observation_shape) != described.observation_shape:
        text = f"{env.id} has other observations or actions today than the policy was trained with"
        raise ConfigError([Problem("env", text)])
    return env


def summarized(outcome: Outcome) -> dict[str, float]:
    """Return an outcome's statistics by name; the interval of a single episode's mean is absent.

    Raises ConfigError where a return is no finite number.
    """
    returns, lengths = outcome.returns, outcome.lengths
    broken = int((~np.isfinite(returns)).sum())
    if broken:
        text = f"pays what is no finite number in {broken} of {len(returns)} episodes"
        raise ConfigError([Problem("env", text)])
    interval = t_interval(returns)
    found = {} if interval is None else {"return_mean_low": interval.low, "return_mean_high": interval.high}
    found |= _of("return", returns) | _of("episode_length", lengths)
    return found | {"truncated_share": float(outcome.truncated.mean())}


def _of(quantity: str, values: Floats | Ints) -> dict[str, float]:
    found = {"mean": values.mean(), "std": values.std()}
    found |= {name: np.percentile(values, percent) for name, percent in _PERCENTILES.items()}
    return {f"{quantity}_{name}": float(value) for name, value in found.items()}


def reported(evaluation: TrainedEvaluation, outcome: Outcome) -> dict[str, Any]:
    """Return all that is kept of an evaluation, as plain JSON."""
    described, request, subject = evaluation.trained.description, evaluation.request, evaluation.subject
    return {
        "env": evaluation.env.id,
        "policy": request.policy,
        "steps": described.steps,
        "episodes": request.episodes,
        "greedy": request.greedy,
        "seed": request.seed,
        "streams": [subject.seed, "evaluation", subject.label],
        "summary": summarized(outcome),
        "returns": outcome.returns.tolist(),
        "lengths": outcome.lengths.tolist(),
        "truncated": outcome.truncated.tolist(),
        "pgexp": pgexp.__version__,
    }
