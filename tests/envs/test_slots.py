"""An environment that goes wrong fails its own row, and is let go of; the rows beside it play on."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from pgexp.envs.slots import GymnasiumSlots
from pgexp.envs.spaces import Spaces
from tests.probes import Diary, diary_observation, fail


class Watched(Diary):
    """A diary that does a deed in its reset, its step or its closing, and knows which of its kind are closed."""

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


class Bank:
    """Slots of watched environments, of which the second one made does a deed."""

    def __init__(self, deed: str = "ValueError", moment: str = "") -> None:
        self.made: list[Watched] = []
        self._deed, self._moment = deed, moment
        spaces = Spaces(gym.spaces.Box(-np.inf, np.inf, (3,), np.float32), gym.spaces.Discrete(4))
        self.slots = GymnasiumSlots(self._make, spaces)

    def _make(self) -> Watched:
        second = len(self.made) == 1
        if second and self._moment == "make":
            self.made.append(Watched([], "", ""))
            fail(self._deed)
        return Watched(self.made, self._deed, self._moment if second else "")


ROWS, ACTIONS, SEEDS = np.arange(3), np.zeros(3, dtype=np.int64), [40, 50, 60]


@pytest.mark.parametrize("deed", ["ValueError", "EOFError", "SystemExit"])
@pytest.mark.parametrize("moment", ["make", "reset", "step"])
def test_a_row_fails_alone_and_can_be_started_again_in_a_new_environment(deed: str, moment: str) -> None:
    bank = Bank(deed, moment)
    begun = bank.slots.start(ROWS, SEEDS)
    step = bank.slots.step(ROWS, ACTIONS) if moment == "step" else begun
    assert [*step.failures] == [1]
    assert "the motor is stuck" in str(step.failures[1])
    time = int(moment == "step")
    for row in (0, 2):
        assert step.observations[row].tolist() == diary_observation(SEEDS[row], time)
    if moment != "make":
        assert [env.closed for env in bank.made] == [False, True, False]
    again = bank.slots.start(ROWS[1:2], [70])
    assert (again.failures, again.observations.tolist()) == ({}, [diary_observation(70, 0)])
    assert len(bank.made) == 4


@pytest.mark.parametrize("deed", ["ValueError", "SystemExit"])
def test_an_environment_that_cannot_be_closed_keeps_no_other_open(deed: str) -> None:
    bank = Bank(deed, "close")
    bank.slots.start(ROWS, SEEDS)
    bank.slots.close()
    assert [env.closed for env in bank.made] == [True] * 3


def test_an_interrupt_is_no_row_s_failure() -> None:
    bank = Bank("KeyboardInterrupt", "step")
    bank.slots.start(ROWS, SEEDS)
    with pytest.raises(KeyboardInterrupt):
        bank.slots.step(ROWS, ACTIONS)
