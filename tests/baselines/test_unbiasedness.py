"""Expected gradients with each baseline: sums over all possible batches, weighted by their probabilities.

Nothing is sampled; scores of the softmax policy have a closed form.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from pgexp.algorithms.advantages import AdvantageEstimator
from pgexp.baselines.baseline import Baseline, Prediction, Predictor, Replay
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
from pgexp.baselines.shared_value import SharedValue
from pgexp.baselines.value import ValueNetwork
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns
from pgexp.networks.feedforward import Linear
from tests.baselines.enumeration import EPISODES, exact_gradient, per_episode_gradients, probability, step_scores
from tests.episodes import Episode, batch_of, estimate, estimator, returns_of

PAST = batch_of(EPISODES[2], EPISODES[2], EPISODES[0])  # the batch that a baseline was fitted to before

MakeBaseline = Callable[[AdvantageEstimator], Baseline]
"""Returns a baseline that was fitted to PAST with the estimator's returns."""


def greedy(batch: Batch) -> Replay:
    """Return the greedy episodes: action 0 in A, then action 1 in B."""
    count = len(batch.lengths)
    return Replay(np.array(EPISODES[2].rewards * count, dtype=np.float64), np.full(count, 2))


def value_network() -> ValueNetwork:
    def linear(inputs: int, outputs: int, shape: tuple[int, ...]) -> Linear:
        return Linear(inputs, outputs, bias=True, initialization="pytorch", gain=3.0)

    return ValueNetwork(inputs=2, shape=(2,), seed=0, dtype=torch.float64, network=linear, lr=0.5, value_updates=3)


def shared_value() -> SharedValue:
    def predicted(batch: Batch) -> Prediction:
        return Prediction(batch.observations @ [2.0, -3.0], batch.final @ [2.0, -3.0])

    return SharedValue(predicted, coefficient=0.5)


def fitted(make: Callable[[], Baseline]) -> MakeBaseline:
    """Return a function that makes a baseline and updates it with PAST."""

    def made(how: AdvantageEstimator) -> Baseline:
        baseline = make()
        baseline.update(PAST, returns_of(how, PAST))
        return baseline

    return made


def optimal_constant() -> OptimalConstant:
    return OptimalConstant(per_episode_gradients)


def after_fit(baseline: Predictor) -> Predictor:
    """Return a wrong baseline, which is fitted to the batch before it is used on it."""

    class Fitted(Predictor):
        biased = False

        def predict(self, batch: Batch) -> Prediction:
            baseline.update(batch, returns_of(REWARD_TO_GO, batch))
            return baseline.predict(batch)

        def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
            return {}

    return Fitted()


def expected_gradient(
    how: AdvantageEstimator, make: MakeBaseline, count: int, episodes: Sequence[Episode] = EPISODES
) -> Floats:
    """Return the expected estimate over all batches of `count` episodes, each with a new baseline."""
    total = np.zeros(4)
    for drawn in itertools.product(episodes, repeat=count):
        batch = batch_of(*drawn)
        found = estimate(how, make(how), batch)
        gradient = found.weights @ step_scores(batch) / found.divisor
        total += np.prod([probability(episode) for episode in drawn]) * gradient
    return total


def assert_equal(found: Floats, expected: Floats) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def assert_off(found: Floats, expected: Floats) -> None:
    assert np.abs(found - expected).max() > 0.01


REWARD_TO_GO, TOTAL_RETURN = estimator(), estimator(return_type="total_return")
UNBIASED = {
    "none": fitted(NoBaseline),
    "constant": fitted(lambda: Constant(0.7)),
    "running_mean": fitted(RunningMean),
    "ema": fitted(lambda: ExponentialMovingAverage(0.5)),
    "recency_weighted": fitted(lambda: RecencyWeightedAverage(0.25)),
    "leave_one_out": fitted(LeaveOneOut),
    "leave_one_out_per_step": fitted(LeaveOneOutPerStep),
    "optimal_constant": fitted(optimal_constant),
    "linear": fitted(lambda: LinearFeatures(inputs=2, ridge=0.1)),
    "greedy_rollout": lambda how: GreedyRollout(how.gamma, greedy),
    "value": fitted(value_network),
    "shared_value": fitted(shared_value),
}
BIASED = {"mean": fitted(BatchMean), "per_step_mean": fitted(PerStepMean), "episode_mean": fitted(EpisodeMean)}
EACH_UNBIASED = pytest.mark.parametrize("make", UNBIASED.values(), ids=UNBIASED.keys())


def test_the_probabilities_of_all_episodes_add_up_to_1() -> None:
    assert sum(map(probability, EPISODES)) == pytest.approx(1.0)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("how", [REWARD_TO_GO, TOTAL_RETURN])
@EACH_UNBIASED
def test_unbiased_baselines_leave_the_exact_gradient(make: MakeBaseline, how: AdvantageEstimator, count: int) -> None:
    assert not make(how).biased
    assert_equal(expected_gradient(how, make, count), exact_gradient())


@pytest.mark.parametrize("name", [name for name in UNBIASED if name != "none"])
def test_unbiased_baselines_are_not_0(name: str) -> None:
    baseline = UNBIASED[name](REWARD_TO_GO)
    assert np.abs(estimate(REWARD_TO_GO, baseline, batch_of(*EPISODES)).values).max() > 0.1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_mean_return_scales_the_gradient_by_1_minus_1_over_k(count: int) -> None:
    assert_equal(expected_gradient(TOTAL_RETURN, BIASED["mean"], count), (1 - 1 / count) * exact_gradient())


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("make", BIASED.values(), ids=BIASED.keys())
def test_biased_baselines_scale_the_states_differently(make: MakeBaseline, count: int) -> None:
    assert make(REWARD_TO_GO).biased
    at_a, at_b = (expected_gradient(REWARD_TO_GO, make, count) / exact_gradient()).reshape(2, 2)
    assert np.abs(at_a - at_b).min() > 0.05


@pytest.mark.parametrize("count", [1, 2])
def test_the_episode_mean_halves_the_gradient_of_equal_rewards(count: int) -> None:
    paid = [replace(episode, rewards=[3.0] * len(episode.rewards)) for episode in EPISODES]
    whole = expected_gradient(REWARD_TO_GO, UNBIASED["none"], count, paid)
    assert_equal(expected_gradient(REWARD_TO_GO, BIASED["episode_mean"], count, paid), whole / 2)


@pytest.mark.parametrize("name", ["running_mean", "ema", "recency_weighted", "linear", "value"])
def test_a_baseline_fitted_before_use_is_biased(name: str) -> None:
    def mistaken(how: AdvantageEstimator) -> Baseline:
        baseline = UNBIASED[name](how)
        assert isinstance(baseline, Predictor)
        return after_fit(baseline)

    assert_off(expected_gradient(REWARD_TO_GO, mistaken, 2), exact_gradient())


@EACH_UNBIASED
def test_discounted_returns_to_go_need_gamma_to_the_t(make: MakeBaseline) -> None:
    kept, dropped = (estimator(gamma=0.7, discount_states=keep) for keep in (True, False))
    assert_equal(expected_gradient(kept, make, 2), exact_gradient(gamma=0.7))
    assert_off(expected_gradient(dropped, make, 2), exact_gradient(gamma=0.7))


@EACH_UNBIASED
def test_discounted_total_returns_contain_gamma_to_the_t(make: MakeBaseline) -> None:
    dropped = estimator(gamma=0.7, return_type="total_return", discount_states=False)
    assert_equal(expected_gradient(dropped, make, 2), exact_gradient(gamma=0.7))


@pytest.mark.parametrize("scale", ["std", "episode_std"])
def test_dividing_by_a_deviation_is_biased(scale: str) -> None:
    scaled = expected_gradient(estimator(advantage_scale=scale), UNBIASED["leave_one_out"], 2)
    assert_off(scaled, exact_gradient())
