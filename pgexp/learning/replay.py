"""Plays a run's episodes again, greedily: what a self-critical baseline compares with."""

import numpy as np

from pgexp.baselines.baseline import Replay
from pgexp.envs.spec import EnvSpec
from pgexp.functional.arrays import Ints
from pgexp.functional.batch import Batch
from pgexp.learning.algorithm import DivergenceError
from pgexp.learning.policy import Policy
from pgexp.learning.rollout import Rollout, StreamOf
from pgexp.networks.parameters import Parameters


class GreedyReplayer:
    """Replays a batch's episodes from the same seeds in N slots of its own, under the most probable actions.

    An episode's environment draws from the stream that it drew from in the batch, so that both begin in one state and
    meet the same chances as long as they act alike. parameters: one run's, [1, ...], as they are when it is called.
    """

    def __init__(self, env: EnvSpec, policy: Policy, parameters: Parameters, slots: int, stream: StreamOf) -> None:
        self._env, self._policy, self._parameters = env, policy, parameters
        self._slots, self._stream = slots, stream
        self._rollout: Rollout | None = None  # made when it is first needed: most runs replay nothing

    def __call__(self, batch: Batch) -> Replay:
        """Return the rewards of each of the batch's episodes, played again. Raises what the environment raises."""
        rollout = self._rollout = self._rollout or self._made()
        rollout.follow({name: tensor.detach() for name, tensor in self._parameters.items()})
        rows, first = np.unique(batch.slots, return_index=True)
        rollout.episode[rows] = batch.numbers[first] - 1  # a slot's episodes stand in order
        rollout.start(rows)
        rewards = _play(rollout, np.bincount(batch.slots, minlength=self._slots))
        rollout.require_sound()
        played = [np.array(rewards[key]) for key in zip(batch.slots.tolist(), batch.numbers.tolist(), strict=True)]
        found = np.concatenate(played)
        if not np.isfinite(found).all():
            reward = found[~np.isfinite(found)][0]
            raise DivergenceError(f"the environment gave a reward of {reward} as an episode was played again greedily")
        return Replay(found, np.array([len(one) for one in played]))

    def close(self) -> None:
        """Release the environments."""
        if self._rollout is not None:
            self._rollout.close()

    def _made(self) -> Rollout:
        return Rollout(self._env, self._env.slots(self._slots), self._policy, 1, self._slots, self._stream)


def _play(rollout: Rollout, left: Ints) -> dict[tuple[int, int], list[float]]:
    """Return the rewards of each slot's next episodes, of which so many, [N], are left to play."""
    rewards: dict[tuple[int, int], list[float]] = {}
    while (live := (left > 0) & rollout.sound).any():
        step = rollout.step(live, greedy=True)
        for row, reward in zip(step.rows.tolist(), step.rewards.tolist(), strict=True):
            rewards.setdefault((row, int(rollout.episode[row])), []).append(reward)
        left[step.ended] -= 1
        rollout.start(step.ended[left[step.ended] > 0])
    return rewards
