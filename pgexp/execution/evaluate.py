"""Evaluation of a trained policy on random streams of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import pgexp
from pgexp.algorithms.errors import RunError
from pgexp.algorithms.evaluator import EvaluationKey, EvaluationResult
from pgexp.envs.spec import EnvSpec
from pgexp.execution.assembly import make_evaluator, make_spec
from pgexp.execution.trained_policy import TrainedPolicy, read_env
from pgexp.functional.arrays import Floats, Ints
from pgexp.networks.network import ParameterVector
from pgexp.runs.video import write_video
from pgexp.schema.errors import UserError
from pgexp.statistics.intervals import t_interval

_PERCENTILES = {"min": 0, "p5": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95, "max": 100}


@dataclass(frozen=True)
class EvaluationRequest:
    """Settings of an evaluation. The same request for the same policy gives the same numbers."""

    episodes: int
    greedy: bool
    seed: int  # selects the random streams, together with the run's seed
    policy: Literal["final", "best"] = "final"

    @property
    def name(self) -> str:
        """The name of the evaluation and of its file."""
        count = f"{self.episodes}-episode{'' if self.episodes == 1 else 's'}"
        prefix = "" if self.policy == "final" else f"{self.policy}-"
        return f"{prefix}{count}-{'greedy' if self.greedy else 'sampled'}-seed-{self.seed}"


class PolicyEvaluation:
    """Evaluation of a trained policy."""

    def __init__(self, trained: TrainedPolicy, request: EvaluationRequest) -> None:
        """Make the environment. Raises UserError if that fails, or if its spaces differ from those in training."""
        self.trained, self.request = trained, request
        self.env = _make_env(trained)
        self.key = EvaluationKey(trained.description.seed, f"after-{request.seed}")
        parameters = ParameterVector.of(trained.parameters)
        self._evaluator = make_evaluator(self.env, trained.policy, parameters, trained.description.num_envs)

    def run(self) -> Iterator[EvaluationResult]:
        """Play the episodes and yield the growing result. Raises UserError if a number is not finite."""
        episodes, greedy = self.request.episodes, self.request.greedy
        try:
            yield from self._evaluator.iterate(self.trained.parameters, self.key, episodes, greedy)
        except RunError as error:
            raise UserError.at("run", str(error)) from error

    def film(self, path: Path) -> None:
        """Play the first episode again and write its video: an MP4 at the path, and a GIF with the same name."""
        episodes, greedy = self.request.episodes, self.request.greedy
        frames = self._evaluator.film(self.env.video_bank(), self.trained.parameters, self.key, episodes, greedy)
        write_video(path, frames, self.env.frames_per_second)

    def show(self, episode: int) -> Iterator[int]:
        """Play an episode again in a window and yield after each step. Raises UserError if that fails."""
        parameters, episodes, greedy = self.trained.parameters, self.request.episodes, self.request.greedy
        try:
            bank = self.env.window_bank()
            yield from self._evaluator.replay(bank, parameters, self.key, episodes, greedy, episode)
        except Exception as error:  # a renderer may raise anything
            text = f"{self.env.id} cannot be shown here: {type(error).__name__}: {error}"
            raise UserError.at("render", text) from error

    def close(self) -> None:
        """Release the environments."""
        self._evaluator.close()


def _make_env(trained: TrainedPolicy) -> EnvSpec:
    described = trained.description
    env = make_spec(read_env(described))
    if env.action_space != described.space or list(env.observation_shape) != described.observation_shape:
        text = f"{env.id} has other observations or actions than those that the policy was trained with"
        raise UserError.at("env", text)
    return env


def summarize(result: EvaluationResult) -> dict[str, float]:
    """Return an evaluation's statistics by name. A single episode has no interval of the mean.

    Raises UserError if a return is not finite.
    """
    returns, lengths = result.returns, result.lengths
    invalid = int((~np.isfinite(returns)).sum())
    if invalid:
        text = f"gives a return that is not finite in {invalid} of {len(returns)} episodes"
        raise UserError.at("env", text)
    interval = t_interval(returns)
    summary = {} if interval is None else {"return_mean_low": interval.low, "return_mean_high": interval.high}
    summary |= _statistics("return", returns) | _statistics("episode_length", lengths)
    return summary | {"truncated_share": float(result.truncated.mean())}


def _statistics(quantity: str, values: Floats | Ints) -> dict[str, float]:
    found = {"mean": values.mean(), "std": values.std()}
    found |= {name: np.percentile(values, percent) for name, percent in _PERCENTILES.items()}
    return {f"{quantity}_{name}": float(value) for name, value in found.items()}


def to_json(evaluation: PolicyEvaluation, result: EvaluationResult) -> dict[str, Any]:
    """Return the content of an evaluation's file, as plain JSON."""
    described, request, key = evaluation.trained.description, evaluation.request, evaluation.key
    return {
        "env": evaluation.env.id,
        "policy": request.policy,
        "steps": described.steps,
        "episodes": request.episodes,
        "greedy": request.greedy,
        "seed": request.seed,
        "streams": [key.seed, "evaluation", key.label],
        "summary": summarize(result),
        "returns": result.returns.tolist(),
        "lengths": result.lengths.tolist(),
        "truncated": result.truncated.tolist(),
        "pgexp": pgexp.__version__,
    }
