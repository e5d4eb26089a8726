"""The return of the policy's own most probable actions."""

import numpy as np

from pgexp.baselines.baseline import Baseline, GreedyReplay
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Credit
from pgexp.functional.returns import discounted_sums, starts
from pgexp.schema.types import Fraction


class GreedyRollout(Baseline):
    """``b_t = return-to-go at time t of the greedy episode``, played from the same start on the same chances.

    The self-critical baseline (Rennie et al. 2017; Kool, van Hoof & Welling 2019). With the total return it is the
    greedy episode's total; with reward-to-go it is 0 once that has ended. Unbiased, since it does not depend on the
    actions taken. It costs an episode more for each, whose steps are not counted; where the most probable actions
    never end one, `env.max_episode_steps` has to.
    """

    biased = False
    whole_episodes = True
    own_rewards = True

    def __init__(self, gamma: Fraction, greedy: GreedyReplay) -> None:
        self._gamma = gamma
        self._greedy = greedy

    def values(self, batch: Batch, credit: Credit) -> Floats:
        """Return the greedy episodes' returns, [S]."""
        replay = self._greedy(batch)
        to_go = discounted_sums(replay.rewards, replay.lengths, self._gamma, np.zeros(len(replay.lengths)))
        begin = np.repeat(starts(replay.lengths), batch.lengths)
        if credit.of_episodes:
            return to_go[begin]
        left = np.repeat(replay.lengths, batch.lengths) - batch.times
        return np.where(left > 0, to_go[begin + np.where(left > 0, batch.times, 0)], 0.0)

    def update(self, batch: Batch, credit: Credit) -> dict[str, float]:
        """Learn nothing: the policy itself is what is compared with."""
        return {}
