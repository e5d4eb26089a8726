"""Banks of environments: rows, time limits, masks, and errors."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from pgexp.envs.bank import Bank, GymnasiumBank
from pgexp.envs.compiled import dynamics_class
from pgexp.envs.compiled.bank import DynamicsBank
from pgexp.envs.compiled.dynamics import Dynamics, DynamicsEnv
from pgexp.envs.spaces import Spaces
from pgexp.envs.spec import inspect
from pgexp.kernels import acting
from pgexp.kernels.acting import RowArguments
from tests.bank_episodes import play, push
from tests.probes import Diary, diary_observation, fail
from tests.user_parts import Dials

ROWS, ACTIONS, SEEDS = np.arange(3), np.zeros((3, 1)), [40, 50, 60]
Made = Callable[[str, int, int | None], Bank]


def lanes(dynamics: Dynamics, count: int) -> RowArguments:
    return RowArguments(
        rows=np.zeros(count, acting.ROW),
        observations=np.zeros((count, dynamics.observation_size)),
        masks=np.ones((count, dynamics.mask_size), np.bool_),
        memory=np.zeros((count, 0)),
        samples=np.zeros((count, dynamics.action_size)),
        actions=np.zeros((count, dynamics.action_size)),
    )


def gymnasium_bank(name: str, count: int, limit: int | None = None) -> Bank:
    return inspect(name, limit, vectorization="sync").bank(count)


def dynamics_bank(name: str, count: int, limit: int | None = None) -> Bank:
    dynamics = dynamics_class(name)()
    return DynamicsBank(dynamics, lanes(dynamics, count), limit or dynamics.max_episode_steps)


@pytest.mark.parametrize("bank_of", [gymnasium_bank, dynamics_bank])
class TestBothBanks:
    def test_a_row_can_be_started_while_others_continue(self, bank_of: Made) -> None:
        """Each row equals an environment of its own."""
        bank, envs = bank_of("CartPole-v1", 3, None), [gym.make("CartPole-v1") for _ in range(3)]
        begun = bank.start(ROWS, [1, 2, 3]).observations
        assert begun.tolist() == [env.reset(seed=seed)[0].tolist() for env, seed in zip(envs, [1, 2, 3], strict=True)]
        step = bank.step(ROWS, np.array([[0.0], [1.0], [1.0]]))
        expected = [env.step(action)[0].tolist() for env, action in zip(envs, [0, 1, 1], strict=True)]
        assert step.observations.tolist() == expected
        again = bank.start(ROWS[1:2], [9])
        assert again.observations.tolist() == [envs[1].reset(seed=9)[0].tolist()]
        step = bank.step(ROWS[[2, 1]], np.array([[0.0], [1.0]]))
        assert step.observations.tolist() == [envs[2].step(0)[0].tolist(), envs[1].step(1)[0].tolist()]

    def test_the_time_limit_truncates_at_its_step_and_not_before(self, bank_of: Made) -> None:
        (episode,) = play(bank_of("Pendulum-v1", 1, None), [3], lambda *_: np.zeros((1, 1)))
        assert len(episode) == 1 + 200
        assert [step[2:] for step in episode[-2:]] == [(False, False), (False, True)]

    def test_the_time_limit_counts_from_an_episodes_start(self, bank_of: Made) -> None:
        bank, row = bank_of("CartPole-v1", 1, 4), np.arange(1)
        for seed in (3, 4):
            bank.start(row, [seed])
            assert [bool(bank.step(row, np.ones((1, 1))).truncated[0]) for _ in range(3)] == [False] * 3

    def test_an_episode_may_end_and_be_truncated_at_one_step(self, bank_of: Made) -> None:
        (episode,) = play(bank_of("CartPole-v1", 1, None), [3], push)
        length = len(episode) - 1
        assert episode[-1][2:] == (True, False)
        (cut,) = play(bank_of("CartPole-v1", 1, length), [3], push)
        assert len(cut) - 1 == length
        assert cut[-1][2:] == (True, True)

    def test_the_last_step_of_an_episode_is_rewarded(self, bank_of: Made) -> None:
        (episode,) = play(bank_of("CartPole-v1", 1, None), [3], push)
        assert {step[1] for step in episode[1:]} == {1.0}

    def test_version_0_has_its_own_time_limit(self, bank_of: Made) -> None:
        # Pushed to where the pole falls, it stays up.
        def balance(observations: np.ndarray, time: int) -> np.ndarray:
            return observations[:, 2] + observations[:, 3] > 0

        (episode,) = play(bank_of("CartPole-v0", 1, None), [3], balance)
        assert len(episode) == 1 + 200

    def test_calls_with_no_rows_do_nothing(self, bank_of: Made) -> None:
        bank, none = bank_of("CartPole-v1", 2, None), np.zeros(0, np.int64)
        bank.start(ROWS[:2], [1, 2])
        assert bank.start(none, []).observations.shape == (0, 4)
        assert bank.step(none, np.zeros((0, 1))).observations.shape == (0, 4)


def test_masks_are_those_of_the_infos() -> None:
    env = DynamicsEnv(Dials())
    bank = GymnasiumBank(lambda: DynamicsEnv(Dials()), Spaces(env.observation_space, env.action_space), masked=True)
    begun = bank.start(ROWS[:2], [1, 2])
    assert begun.masks is not None
    assert begun.masks.tolist() == [[True, False, False, True, True]] * 2  # see Dials.observe at time 0
    step = bank.step(ROWS[:1], np.array([[0.0, 1.0]]))
    assert step.masks is not None
    assert step.masks.tolist() == [[True, True, True, False, True]]
    assert step.rewards.tolist() == [10.0]


def test_dynamics_write_masks_into_the_rows() -> None:
    dynamics = Dials()
    held = lanes(dynamics, 2)
    bank = DynamicsBank(dynamics, held, 80)
    bank.start(ROWS[:2], [1, 2])
    bank.step(ROWS[1:2], np.array([[0.0, 1.0]]))
    assert held.masks.tolist() == [[True, False, False, True, True], [True, True, True, False, True]]


class Watched(Diary):
    """A diary that fails in its reset, its step or its closing, and records whether it was closed."""

    def __init__(self, made: list["Watched"], deed: str, moment: str) -> None:
        super().__init__(longest=99)
        self.deed, self.moment, self.closed = deed, moment, False
        made.append(self)

    def _at(self, moment: str) -> None:
        if moment == self.moment:
            fail(self.deed)

    def reset(self, **kwargs: Any) -> Any:
        self._at("reset")
        return super().reset(**kwargs)

    def step(self, action: int) -> Any:
        self._at("step")
        return super().step(action)

    def close(self) -> None:
        self.closed = True
        self._at("close")


class WatchedBank:
    """A bank of watched environments, of which the second one fails at a moment."""

    def __init__(self, deed: str = "ValueError", moment: str = "", recreate: bool = False) -> None:
        self.made: list[Watched] = []
        self._deed, self._moment = deed, moment
        spaces = Spaces(gym.spaces.Box(-np.inf, np.inf, (3,), np.float32), gym.spaces.Discrete(4))
        self.bank = GymnasiumBank(self._make, spaces, recreate)

    def _make(self) -> Watched:
        second = len(self.made) == 1
        if second and self._moment == "make":
            fail(self._deed)
        return Watched(self.made, self._deed, self._moment if second else "")


class TestErrors:
    @pytest.mark.parametrize("deed", ["ValueError", "EOFError", "KeyboardInterrupt"])
    @pytest.mark.parametrize("moment", ["make", "reset", "step"])
    def test_an_exception_is_raised_unchanged_and_all_can_be_closed(self, deed: str, moment: str) -> None:
        watched = WatchedBank(deed, moment)
        error = {"ValueError": ValueError, "EOFError": EOFError, "KeyboardInterrupt": KeyboardInterrupt}[deed]
        if moment == "step":
            watched.bank.start(ROWS, SEEDS)
        with pytest.raises(error, match="the motor is stuck"):
            watched.bank.step(ROWS, ACTIONS) if moment == "step" else watched.bank.start(ROWS, SEEDS)
        watched.bank.close()
        assert [env.closed for env in watched.made] == [True] * len(watched.made)

    @pytest.mark.parametrize("moment", ["reset", "step"])
    def test_an_environment_that_exits_is_an_error(self, moment: str) -> None:
        watched = WatchedBank("SystemExit", moment)
        text = r"the environment tried to exit the program: SystemExit\('the motor is stuck'\)"
        if moment == "step":
            watched.bank.start(ROWS, SEEDS)
        with pytest.raises(RuntimeError, match=text):
            watched.bank.step(ROWS, ACTIONS) if moment == "step" else watched.bank.start(ROWS, SEEDS)

    @pytest.mark.parametrize("deed", ["ValueError", "SystemExit"])
    def test_an_error_in_closing_leaves_no_other_environment_open(self, deed: str) -> None:
        watched = WatchedBank(deed, "close")
        watched.bank.start(ROWS, SEEDS)
        watched.bank.close()
        assert [env.closed for env in watched.made] == [True] * 3


@pytest.mark.parametrize(("recreate", "made"), [(False, 3), (True, 5)])
def test_an_environment_is_made_once_per_row_or_for_each_episode(recreate: bool, made: int) -> None:
    watched = WatchedBank(recreate=recreate)
    watched.bank.start(ROWS, SEEDS)
    found = watched.bank.start(ROWS[:2], [70, 80])
    assert found.observations.tolist() == [diary_observation(70, 0), diary_observation(80, 0)]
    assert len(watched.made) == made
    assert [env.closed for env in watched.made] == ([True] * 2 + [False] * 3 if recreate else [False] * 3)
    watched.bank.close()
