"""Problems with known gradients of the expected return, and a simulator of their episodes without pgexp.

A policy's parameters are one vector, [P]; its scores have explicit formulas. The exact gradient is the derivative of a
closed form of the expected return by a complex step (Squire & Trapp 1998), without the policy gradient theorem.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_STEP = 1e-30


class Problem(ABC):
    """An environment with a policy. States, observations and actions are arrays with one row per episode."""

    theta: Array  # [P]
    observations: int
    greedy_ends: bool

    @abstractmethod
    def expected_return(self, theta: Array, gamma: float) -> Any:
        """Return J in closed form; theta may be complex."""

    @abstractmethod
    def start(self, count: int, chance: np.random.Generator) -> Array:
        """Return the first states."""

    @abstractmethod
    def observe(self, state: Array) -> Array:
        """Return the observations, [n, O]."""

    @abstractmethod
    def act(self, observation: Array, chance: np.random.Generator | None) -> Array:
        """Return one action per row: sampled, or greedy if `chance` is None."""

    @abstractmethod
    def step(self, state: Array, action: Array, time: int, chance: np.random.Generator) -> tuple[Array, Array, Array]:
        """Return the next states, the rewards, and whether the episodes ended."""

    @abstractmethod
    def scores(self, observation: Array, action: Array) -> Array:
        """Return ``grad log pi(a | s)``, [n, P]."""

    def exact_gradient(self, gamma: float) -> Array:
        """Return the gradient of J at theta, [P]."""
        steps = 1j * _STEP * np.eye(len(self.theta))
        return np.array([np.imag(self.expected_return(self.theta + step, gamma)) / _STEP for step in steps])


@dataclass(frozen=True)
class Tabular(Problem):
    """A Markov decision process, and a softmax over each observation's logits, the last of which is 0."""

    theta: Array  # [V (A - 1)]
    first: Array  # [N], the probabilities of the first state
    moves: Array  # [N, A, N], the probabilities of the next state; the remaining probability ends the episode
    rewards: Array  # [N, A], their means
    seen: Array  # [N], which of V observations each state gives
    noise: float = 0.0  # the rewards' deviation
    greedy_ends: bool = True

    @property
    def observations(self) -> int:
        return int(self.seen.max()) + 1

    def expected_return(self, theta: Array, gamma: float) -> Any:
        """Return ``first . (I - gamma P_pi)^-1 r_pi``."""
        chances = self._chances(theta)[self.seen]
        moves = np.einsum("na,nam->nm", chances, self.moves)
        values = np.linalg.solve(np.eye(len(moves)) - gamma * moves, (chances * self.rewards).sum(1))
        return self.first @ values

    def start(self, count: int, chance: np.random.Generator) -> Array:
        return chance.choice(len(self.first), size=count, p=self.first)

    def observe(self, state: Array) -> Array:
        return np.eye(self.observations)[self.seen[state]]

    def act(self, observation: Array, chance: np.random.Generator | None) -> Array:
        chances = observation @ self._chances(self.theta)
        if chance is None:
            return chances.argmax(1)
        return (chance.random((len(chances), 1)) > chances.cumsum(1)[:, :-1]).sum(1)

    def step(self, state: Array, action: Array, time: int, chance: np.random.Generator) -> tuple[Array, Array, Array]:
        draw, noise = chance.random((len(state), 1)), chance.normal(size=len(state))
        following = (draw >= self.moves[state, action].cumsum(1)).sum(1)
        ended = following == len(self.first)
        return np.where(ended, 0, following), self.rewards[state, action] + self.noise * noise, ended

    def scores(self, observation: Array, action: Array) -> Array:
        of_logits = (np.eye(self.rewards.shape[1])[action] - observation @ self._chances(self.theta))[:, :-1]
        return (observation[:, :, None] * of_logits[:, None]).reshape(len(action), -1)

    def _chances(self, theta: Array) -> Array:
        """Return the probabilities of the actions, [V, A]."""
        free = theta.reshape(self.observations, -1)
        powers = np.exp(np.concatenate([free, np.zeros((len(free), 1))], axis=1))
        return powers / powers.sum(1, keepdims=True)


@dataclass(frozen=True)
class LinearQuadratic(Problem):
    """``x' = a x + b u + noise`` with the cost ``q x^2 + r u^2`` over `steps` steps.

    u is normal with mean k x; theta is k and the logarithm of u's standard deviation.
    """

    theta: Array
    a: float
    b: float
    q: float
    r: float
    noise: float
    steps: int
    observations: int = 1
    greedy_ends: bool = True

    def expected_return(self, theta: Array, gamma: float) -> Any:
        """Return ``-sum_t gamma^t (q E x_t^2 + r (k^2 E x_t^2 + sigma^2))``, with x_0 normal with mean 1."""
        k, variance = theta[0], np.exp(2 * theta[1])
        square, total = 2.0 + 0 * k, 0.0 * k
        for time in range(self.steps):
            total = total - gamma**time * (self.q * square + self.r * (k**2 * square + variance))
            square = (self.a + self.b * k) ** 2 * square + self.b**2 * variance + self.noise**2
        return total

    def start(self, count: int, chance: np.random.Generator) -> Array:
        return 1 + chance.normal(size=count)

    def observe(self, state: Array) -> Array:
        return state[:, None]

    def act(self, observation: Array, chance: np.random.Generator | None) -> Array:
        mean = self.theta[0] * observation[:, 0]
        return mean if chance is None else mean + np.exp(self.theta[1]) * chance.normal(size=len(mean))

    def step(self, state: Array, action: Array, time: int, chance: np.random.Generator) -> tuple[Array, Array, Array]:
        following = self.a * state + self.b * action + self.noise * chance.normal(size=len(state))
        reward = -self.q * state**2 - self.r * action**2
        return following, reward, np.full(len(state), time == self.steps - 1)

    def scores(self, observation: Array, action: Array) -> Array:
        x, sigma = observation[:, 0], np.exp(self.theta[1])
        z = (action - self.theta[0] * x) / sigma
        return np.stack([z * x / sigma, z**2 - 1], axis=1)


@dataclass(frozen=True)
class Played:
    """Episodes in full, one after the other."""

    observations: Array  # [S, O]
    actions: Array  # [S]
    rewards: Array  # [S]
    lengths: Array  # [E]


def play(problem: Problem, count: int, seed: int, greedy: bool = False) -> Played:
    """Play `count` episodes. Random events of the environments are equal for greedy and sampled actions."""
    chance, own = (np.random.default_rng([seed, stream]) for stream in range(2))
    state, live = problem.start(count, chance), np.arange(count)
    recorded: list[Sequence[Array]] = []
    while len(live):
        observation = problem.observe(state)
        action = problem.act(observation, None if greedy else own)
        following, reward, ended = problem.step(state, action, len(recorded), chance)
        recorded.append([part[live] for part in (np.arange(count), observation, action, reward)])
        state, live = following, live[~ended[live]]
    episode, *parts = (np.concatenate(part) for part in zip(*recorded, strict=True))
    order = np.argsort(episode, kind="stable")
    return Played(*(part[order] for part in parts), lengths=np.bincount(episode, minlength=count))


def three_states() -> Tabular:
    """Three states with random transitions, each of which may end the episode."""
    moves = [
        [[0.2, 0.4, 0.1], [0.1, 0.2, 0.5]],
        [[0.3, 0.1, 0.2], [0.0, 0.5, 0.4]],
        [[0.5, 0.2, 0.0], [0.2, 0.0, 0.2]],
    ]
    return Tabular(
        theta=np.array([0.5, -0.4, 0.3]),
        first=np.array([0.5, 0.3, 0.2]),
        moves=np.array(moves),
        rewards=np.array([[2.0, 4.0], [1.0, 6.0], [4.0, -2.0]]),
        seen=np.arange(3),
        noise=1.0,
    )


def corridor(right: float) -> Tabular:
    """The short corridor (Sutton & Barto 2018, example 13.1) with this probability of moving right.

    Greedy episodes never end.
    """
    moves = np.zeros((3, 2, 3))
    moves[0, 0, 1] = moves[0, 1, 0] = 1  # action 0 is right
    moves[1, 0, 0] = moves[1, 1, 2] = 1
    moves[2, 1, 1] = 1
    return Tabular(
        theta=np.log([right / (1 - right)]),
        first=np.array([1.0, 0, 0]),
        moves=moves,
        rewards=-np.ones((3, 2)),
        seen=np.zeros(3, dtype=int),
        greedy_ends=False,
    )


def bandit() -> Tabular:
    """Three arms."""
    return Tabular(
        theta=np.array([0.3, -0.5]),
        first=np.ones(1),
        moves=np.zeros((1, 3, 1)),
        rewards=np.array([[3.0, 1.0, 2.0]]),
        seen=np.zeros(1, dtype=int),
        noise=1.0,
    )


def regulator() -> LinearQuadratic:
    """A linear-quadratic regulator of four steps."""
    return LinearQuadratic(theta=np.array([-0.2, -0.3]), a=0.9, b=0.5, q=1.0, r=0.3, noise=0.3, steps=4)
