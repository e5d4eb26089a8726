"""Compiled dynamics as a bank of environments, and as arguments of kernels."""

from collections.abc import Sequence

import numpy as np

from pgexp.envs.bank import Bank, Start, Transition
from pgexp.envs.compiled.dynamics import Dynamics, addresses
from pgexp.functional.arrays import Floats, Rows
from pgexp.kernels import acting, compilation
from pgexp.kernels.acting import DynamicsArguments, RowArguments
from pgexp.kernels.signatures import INVALID, TERMINATED


def dynamics_arguments(dynamics: Dynamics, count: int) -> DynamicsArguments:
    """Return the arguments of `acting.play` for a number of environments, without a stream of seeds."""
    return DynamicsArguments(
        *addresses(dynamics),
        parameters=dynamics.parameters.copy(),
        prefix=np.zeros(0, np.uint32),
        state=np.zeros((count, dynamics.state_size)),
        rng=np.zeros((count, 4), np.uint64),
        observation=np.zeros(dynamics.observation_size),
        reward=np.zeros(1),
        single=int(dynamics.action_space.dtype == np.float32),
    )


class DynamicsBank(Bank):
    """Compiled dynamics for policies in torch: one call per time step.

    The masks of allowed actions are written into the agent's.
    """

    def __init__(self, dynamics: Dynamics, arrays: RowArguments, max_episode_steps: int | None) -> None:
        """Make the environments of an agent's rows. arrays: of the agent, for observations, masks and actions."""
        count = len(arrays.rows)
        self._arrays = arrays
        self._limit = max_episode_steps
        self._dynamics = dynamics_arguments(dynamics, count)
        self._time = np.zeros(count, np.int64)
        self._rewards, self._statuses = np.zeros(count), np.zeros(count, np.int64)
        live = np.zeros(count, np.int64)
        self._start = compilation.entry_point(acting.start_rows, arrays, self._dynamics, count, live, live)
        self._step = compilation.entry_point(
            acting.step_rows, arrays, self._dynamics, count, live, self._rewards, self._statuses
        )

    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
        """Begin an episode in each of the rows from its seed."""
        self._start(self._arrays, self._dynamics, len(rows), rows, np.array(seeds, np.int64))
        self._time[rows] = 0
        return Start(self._arrays.observations[rows])

    def step(self, rows: Rows, actions: Floats) -> Transition:
        """Advance the rows by the dynamics; the time limit truncates."""
        count = len(rows)
        self._arrays.actions[rows] = actions
        self._step(self._arrays, self._dynamics, count, rows, self._rewards, self._statuses)
        if (self._statuses[:count] == INVALID).any():
            action = actions[np.argmax(self._statuses[:count] == INVALID)]
            raise ValueError(f"the environment refused the action {action.tolist()} as invalid")
        self._time[rows] += 1
        terminated = self._statuses[:count] == TERMINATED
        truncated = np.zeros(count, bool) if self._limit is None else self._time[rows] >= self._limit
        return Transition(self._arrays.observations[rows], self._rewards[:count].copy(), terminated, truncated)

    def close(self) -> None:
        """Do nothing: arrays hold no resource."""
