"""Estimates from simulated episodes against exact gradients: unbiased estimators agree with them, biased ones do not.

All components of an estimate are tested jointly. The probability that any correct one is rejected is 1e-6 (see
`trials`); the seed is fixed. Batches are small, because a baseline's bias is largest in small batches.
"""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from pgexp.algorithms.advantages import AdvantageEstimator
from pgexp.baselines.baseline import Baseline
from pgexp.baselines.constant import Constant
from pgexp.baselines.ema import ExponentialMovingAverage
from pgexp.baselines.episode_mean import EpisodeMean
from pgexp.baselines.greedy_rollout import GreedyRollout
from pgexp.baselines.leave_one_out import LeaveOneOut
from pgexp.baselines.leave_one_out_per_step import LeaveOneOutPerStep
from pgexp.baselines.linear import LinearFeatures
from pgexp.baselines.mean import BatchMean
from pgexp.baselines.none import NoBaseline
from pgexp.baselines.optimal_constant import OptimalConstant
from pgexp.baselines.per_step_mean import PerStepMean
from pgexp.baselines.recency_weighted import RecencyWeightedAverage
from pgexp.baselines.running_mean import RunningMean
from pgexp.baselines.value import ValueNetwork
from pgexp.networks.feedforward import Linear
from tests.episodes import estimator
from tests.exactness.problems import Problem, bandit, corridor, regulator, three_states
from tests.exactness.trials import TESTS, Trial, bound, distance

EPISODES = os.environ.get("PGEXP_EXACTNESS_EPISODES")  # per trial; set by `make exactness`


def trial_of(problem: Problem, size: int) -> Trial:
    """Return a trial of 4,000 batches with `size` episodes each, or of EPISODES episodes in all."""
    return Trial(problem, int(EPISODES) // size if EPISODES else 4000, size)


TRIALS = {
    "mdp": trial_of(three_states(), size=3),
    "corridor": trial_of(corridor(0.2), size=2),
    "regulator": trial_of(regulator(), size=2),
    "bandit": trial_of(bandit(), size=5),
}
# Eighty thousand episodes each: errors of the returns are smaller than those of baselines.
LARGE = {name: trial_of(TRIALS[name].problem, size=20) for name in ("mdp", "regulator", "bandit")}
DISCOUNT = {"mdp": 0.8, "corridor": 0.8, "regulator": 0.5}


def value_network(trial: Trial, gamma: float) -> ValueNetwork:
    def linear(inputs: int, outputs: int, shape: tuple[int, ...]) -> Linear:
        return Linear(inputs, outputs, bias=True, initialization="zeros", gain=1.0)

    inputs = trial.problem.observations
    return ValueNetwork(inputs, (inputs,), seed=0, dtype=torch.float64, network=linear, lr=0.01, value_updates=1)


Make = Callable[[Trial, float], Baseline]
"""Returns a new baseline for a trial and a discount."""

UNBIASED: dict[str, Make] = {
    "none": lambda trial, gamma: NoBaseline(),
    "constant": lambda trial, gamma: Constant(1.5),
    "running_mean": lambda trial, gamma: RunningMean(),
    "ema": lambda trial, gamma: ExponentialMovingAverage(0.5),
    "recency_weighted": lambda trial, gamma: RecencyWeightedAverage(0.25),
    "leave_one_out": lambda trial, gamma: LeaveOneOut(),
    "leave_one_out_per_step": lambda trial, gamma: LeaveOneOutPerStep(),
    "optimal_constant": lambda trial, gamma: OptimalConstant(trial.scores),
    "linear": lambda trial, gamma: LinearFeatures(trial.problem.observations, ridge=0.1),
    "greedy_rollout": lambda trial, gamma: GreedyRollout(gamma, trial.replay),
    "value": value_network,
}
BIASED: dict[str, Make] = {
    "mean": lambda trial, gamma: BatchMean(),
    "per_step_mean": lambda trial, gamma: PerStepMean(),
    "episode_mean": lambda trial, gamma: EpisodeMean(),
}


@dataclass(frozen=True)
class Case:
    """An estimator of a problem's gradient."""

    problem: str
    baseline: str
    changed: tuple[tuple[str, Any], ...] = ()  # of the plainest estimator
    large: bool = False

    def __str__(self) -> str:
        size = ["large"] if self.large else []
        return "-".join([self.problem, self.baseline, *(str(value) for _, value in self.changed), *size])

    @property
    def trial(self) -> Trial:
        return (LARGE if self.large else TRIALS)[self.problem]

    @property
    def how(self) -> AdvantageEstimator:
        return estimator(**dict(self.changed))

    def distance(self, share: float = 1.0) -> float:
        """Return the distance of the estimates from `share` times the exact gradient."""
        how, trial = self.how, self.trial
        estimates = trial.estimates(how, {**UNBIASED, **BIASED}[self.baseline](trial, how.gamma))
        return distance(estimates, share * trial.problem.exact_gradient(how.gamma))

    @property
    def bound(self) -> float:
        return bound(len(self.trial.problem.theta))

    @property
    def makes_sense(self) -> bool:
        """Whether the baseline supports the return type and the problem. A value network is slow and has one case."""
        total = self.how.return_type == "total_return"
        if self.baseline == "greedy_rollout":
            return self.trial.problem.greedy_ends
        if self.baseline == "value":
            return self.problem == "mdp" and not self.changed
        return not (total and self.baseline in ("leave_one_out_per_step", "episode_mean"))


def changed(**settings: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(settings.items())


TOTAL = changed(return_type="total_return")
PLAIN = [Case(*pair, settings) for *pair, settings in itertools.product(TRIALS, UNBIASED, [(), TOTAL])]
DISCOUNTED = [
    Case(problem, baseline, changed(gamma=gamma, discount_states=True))
    for (problem, gamma), baseline in itertools.product(DISCOUNT.items(), UNBIASED)
]
TOTALS_DISCOUNTED = [Case("mdp", baseline, changed(gamma=0.8, return_type="total_return")) for baseline in UNBIASED]
LAMBDA = [Case("mdp", "running_mean", changed(return_type="lambda_return", gae_lambda=1.0))]
MANY = [Case(problem, "none", settings, large=True) for problem, settings in itertools.product(LARGE, [(), TOTAL])]
AGREEING = [case for case in PLAIN + DISCOUNTED + TOTALS_DISCOUNTED + LAMBDA + MANY if case.makes_sense]

ONE_STEP = [Case("bandit", "mean"), Case("bandit", "per_step_mean")]
WHOLE = [Case(problem, "mean", TOTAL) for problem in TRIALS]
OWN_RETURN = [Case(problem, baseline) for problem, baseline in itertools.product(DISCOUNT, BIASED)]
DIVIDED = [Case(problem, "leave_one_out", changed(advantage_scale="std")) for problem in TRIALS]
DIVIDED += [Case(problem, "leave_one_out", changed(advantage_scale="episode_std")) for problem in DISCOUNT]
DROPPED = [Case(problem, "linear", changed(gamma=gamma)) for problem, gamma in DISCOUNT.items()]
BOOTSTRAPPED = [
    Case("mdp", "constant", changed(return_type="lambda_return", gae_lambda=0.5)),
    Case("mdp", "constant", changed(return_type="n_step_return", n_steps=1)),
]


def test_the_number_of_tests_is_within_the_bonferroni_bound() -> None:
    assert len(AGREEING + ONE_STEP + WHOLE) + 2 <= TESTS


def marked(cases: list[Case], fast: set[str]) -> list[Any]:
    """Return the cases as parameters, of which all but those on the MDP with a fast baseline are slow."""
    quick = [case.problem == "mdp" and case.baseline in fast and not case.large for case in cases]
    marks = [() if is_quick else pytest.mark.slow for is_quick in quick]
    return [pytest.param(case, marks=mark, id=str(case)) for case, mark in zip(cases, marks, strict=True)]


@pytest.mark.parametrize("case", marked(AGREEING, {"none", "running_mean", "leave_one_out", "leave_one_out_per_step"}))
def test_unbiased_estimates_agree_with_the_exact_gradient(case: Case) -> None:
    assert case.distance() < case.bound


BIASED_CASES = ONE_STEP + WHOLE + OWN_RETURN + DIVIDED + DROPPED + BOOTSTRAPPED


@pytest.mark.parametrize("case", marked(BIASED_CASES, {"mean", "leave_one_out", "constant"}))
def test_biased_estimates_do_not(case: Case) -> None:
    assert case.distance() > case.bound


@pytest.mark.parametrize("case", marked(ONE_STEP + WHOLE, {"mean"}))
def test_the_mean_return_scales_the_gradient_by_1_minus_1_over_k(case: Case) -> None:
    assert case.distance(share=1 - 1 / case.trial.size) < case.bound


def test_the_episode_mean_halves_the_gradient_of_equal_rewards() -> None:
    case = Case("corridor", "episode_mean")
    assert case.distance(share=0.5) < case.bound


def test_the_episode_mean_of_one_step_gives_no_gradient() -> None:
    assert not TRIALS["bandit"].estimates(estimator(), EpisodeMean()).any()


@pytest.mark.parametrize(
    "problem", ["mdp", *(pytest.param(name, marks=pytest.mark.slow) for name in DISCOUNT if name != "mdp")]
)
def test_the_running_mean_reduces_the_variance(problem: str) -> None:
    trial = TRIALS[problem]
    none, past = (trial.estimates(estimator(), UNBIASED[name](trial, 1.0)) for name in ("none", "running_mean"))
    assert np.var(past, axis=0).sum() < 0.8 * np.var(none, axis=0).sum()
