"""Return of the policy's greedy actions."""

import numpy as np

from pgexp.baselines.baseline import Baseline, GreedyReplay
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns
from pgexp.functional.returns import discounted_sums, starts
from pgexp.schema.types import Fraction


class GreedyRollout(Baseline):
    """``b_t = return-to-go at time t of the greedy episode`` from the same seed of the environment.

    The self-critical baseline (Rennie et al. 2017; Kool, van Hoof & Welling 2019). With the total return it is the
    greedy episode's total; with reward-to-go it is 0 after the greedy episode's end. Unbiased, because it does not
    depend on the sampled actions. It costs one more episode per episode, whose steps are not counted. If greedy actions
    may never end an episode, set `env.max_episode_steps`.
    """

    biased = False
    requires_whole_episodes = True
    collects_rewards = True

    def __init__(self, gamma: Fraction, greedy: GreedyReplay) -> None:
        self._gamma = gamma
        self._greedy = greedy

    def values(self, batch: Batch, returns: Returns) -> Floats:
        """Return the greedy episodes' returns, [S]."""
        replay = self._greedy(batch)
        to_go = discounted_sums(replay.rewards, replay.lengths, self._gamma, np.zeros(len(replay.lengths)))
        begin = np.repeat(starts(replay.lengths), batch.lengths)
        if returns.per_episode:
            return to_go[begin]
        left = np.repeat(replay.lengths, batch.lengths) - batch.times
        return np.where(left > 0, to_go[begin + np.where(left > 0, batch.times, 0)], 0.0)

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        """Do nothing: the current policy is the baseline."""
        return {}
