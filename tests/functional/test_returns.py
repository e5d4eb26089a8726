"""Returns of ragged batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgexp.functional.arrays import Floats, Ints
from pgexp.functional.returns import (
    discounted_sums,
    episode_sums,
    lambda_returns,
    n_step_returns,
    powers,
    starts,
    times,
)


def floats(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def test_the_return_to_go_of_one_episode() -> None:
    # 3; 2 + .5 * 3 = 3.5; 1 + .5 * 3.5 = 2.75
    assert discounted_sums(floats(1, 2, 3), ints(3), 0.5, floats(0)).tolist() == [2.75, 3.5, 3.0]


def test_returns_do_not_cross_the_end_of_an_episode() -> None:
    together = discounted_sums(floats(1, 2, 3, 100, 200), ints(3, 2), 0.5, floats(0, 0))
    assert together.tolist() == [2.75, 3.5, 3.0, 200.0, 200.0]


def test_a_tail_is_discounted_from_the_last_step() -> None:
    # 3 + .5 * 8 = 7; 2 + .5 * 7 = 5.5; 1 + .5 * 5.5 = 3.75; the other episode's tail is 0
    sums = discounted_sums(floats(1, 2, 3, 4), ints(3, 1), 0.5, floats(8, 0))
    assert sums.tolist() == [3.75, 5.5, 7.0, 4.0]


def test_without_discount_a_return_is_the_plain_sum() -> None:
    assert discounted_sums(floats(1, 2, 3, 4), ints(3, 1), 1.0, floats(10, 0)).tolist() == [16.0, 15.0, 13.0, 4.0]


def test_with_discount_0_a_return_is_the_reward_of_its_step() -> None:
    assert discounted_sums(floats(1, 2, 3, 4), ints(3, 1), 0.0, floats(10, 10)).tolist() == [1.0, 2.0, 3.0, 4.0]


def test_an_episode_of_one_step() -> None:
    assert discounted_sums(floats(-2), ints(1), 0.9, floats(10)).tolist() == [7.0]


def test_an_empty_batch_has_no_returns() -> None:
    assert discounted_sums(floats(), ints(), 0.9, floats()).shape == (0,)
    assert episode_sums(floats(), ints()).shape == (0,)


def test_ranks_are_asserted() -> None:
    with pytest.raises(AssertionError):
        discounted_sums(np.ones((2, 2)), ints(2), 0.9, floats(0))


def test_returns_do_not_depend_on_other_episodes() -> None:
    rewards = np.random.default_rng(0).normal(size=37)
    alone = discounted_sums(rewards[7:20], ints(13), 0.97, floats(0.3))
    among = discounted_sums(rewards, ints(1, 6, 13, 17), 0.97, floats(1, np.nan, 0.3, np.inf))
    assert among[7:20].tolist() == alone.tolist()


def test_rewards_are_not_changed() -> None:
    rewards = floats(1, 2, 3)
    discounted_sums(rewards, ints(3), 0.5, floats(1))
    assert rewards.tolist() == [1.0, 2.0, 3.0]


Episodes = list[tuple[list[float], float]]
"""Rewards and tail of each episode."""
VALUES = st.floats(-1e3, 1e3)


@given(st.lists(st.tuples(st.lists(VALUES, min_size=1, max_size=9), VALUES), min_size=1, max_size=5), st.floats(0, 1))
def test_returns_equal_their_definition(episodes: Episodes, gamma: float) -> None:
    """``G_t = sum_k gamma^k r_{t+k} + gamma^{T-t} tail``, summed forwards and step by step."""
    expected = [
        sum(gamma**k * reward for k, reward in enumerate([*rewards[t:], tail]))
        for rewards, tail in episodes
        for t in range(len(rewards))
    ]
    found = discounted_sums(
        floats(*(reward for rewards, _ in episodes for reward in rewards)),
        ints(*(len(rewards) for rewards, _ in episodes)),
        gamma,
        floats(*(tail for _, tail in episodes)),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)


def test_sums_starts_and_times_of_episodes() -> None:
    lengths = ints(3, 1, 2)
    assert episode_sums(floats(1, 2, 3, 4, 5, 6), lengths).tolist() == [6.0, 4.0, 11.0]
    assert starts(lengths).tolist() == [0, 3, 4]
    assert times(lengths, ints(0, 0, 0)).tolist() == [0, 1, 2, 0, 0, 1]
    assert times(lengths, ints(7, 0, 100)).tolist() == [7, 8, 9, 0, 100, 101]


class TestWithValues:
    """Two episodes of three steps and one step: gamma = 1/2, the first is cut at V = 8, the second terminates."""

    REWARDS, LENGTHS = np.array([1.0, 2.0, 4.0, 3.0]), np.array([3, 1])
    VALUES, TAILS = np.array([2.0, 6.0, 10.0, 5.0]), np.array([8.0, 0.0])
    # errors r + V'/2 - V: 1 + 3 - 2 = 2, 2 + 5 - 6 = 1, 4 + 4 - 10 = -2, and 3 + 0 - 5 = -2
    TO_GO = (1 + (2 + (4 + 8 / 2) / 2) / 2, 2 + (4 + 8 / 2) / 2, 4 + 8 / 2, 3.0)

    def lambdas(self, gae_lambda: float) -> list[float]:
        return lambda_returns(self.REWARDS, self.LENGTHS, self.VALUES, self.TAILS, 0.5, gae_lambda).tolist()

    def steps(self, n: int) -> list[float]:
        return n_step_returns(self.REWARDS, self.LENGTHS, self.VALUES, self.TAILS, 0.5, n).tolist()

    def test_the_advantage_discounts_errors_by_gamma_lambda(self) -> None:
        half = [2 + 1 / 4 - 2 / 16, 1 - 2 / 4, -2.0, -2.0]
        assert self.lambdas(0.5) == pytest.approx([v + a for v, a in zip(self.VALUES, half, strict=True)])

    def test_lambda_0_equals_one_step(self) -> None:
        assert self.lambdas(0.0) == pytest.approx([4.0, 7.0, 8.0, 3.0])
        assert self.steps(1) == pytest.approx([4.0, 7.0, 8.0, 3.0])

    def test_two_steps_use_two_rewards_if_there_are_two(self) -> None:
        assert self.steps(2) == pytest.approx([1 + 2 / 2 + 10 / 4, 2 + 4 / 2 + 8 / 4, 8.0, 3.0])

    def test_lambda_1_and_many_steps_give_the_return_to_go(self) -> None:
        assert self.lambdas(1.0) == pytest.approx(self.TO_GO)
        assert self.steps(3) == pytest.approx(self.TO_GO)
        assert self.steps(100) == pytest.approx(self.TO_GO)

    @pytest.mark.parametrize("n", [1, 2, 3, 7])
    def test_n_step_returns_equal_their_definition(self, n: int) -> None:
        draws = np.random.default_rng(0)
        lengths = np.array([5, 1, 9, 2])
        rewards, values, tails = draws.normal(size=17), draws.normal(size=17), draws.normal(size=4)
        expected, begin = [], 0
        for length, tail in zip(lengths, tails, strict=True):
            later = [*values[begin : begin + length], tail]
            for t in range(length):
                last = min(t + n, length)
                seen = sum(0.9 ** (k - t) * rewards[begin + k] for k in range(t, last))
                expected.append(seen + 0.9 ** (last - t) * later[last])
            begin += length
        assert n_step_returns(rewards, lengths, values, tails, 0.9, n).tolist() == pytest.approx(expected)


def test_powers() -> None:
    assert powers(0.5, 4).tolist() == [1.0, 0.5, 0.25, 0.125]
    assert powers(0.0, 3).tolist() == [1.0, 0.0, 0.0]
    assert powers(0.9, 0).tolist() == []
    np.testing.assert_allclose(powers(0.99, 1_000), 0.99 ** np.arange(1_000), rtol=1e-12)
