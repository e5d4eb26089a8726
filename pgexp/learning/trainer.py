"""Training loop of one run."""

from collections.abc import Iterator

from pgexp.learning.collector import Collector
from pgexp.learning.learner import Learner


def train(collector: Collector, learner: Learner) -> Iterator[dict[str, float]]:
    """Train until the budget is spent, yielding each update's metrics. The run is between two updates at each yield.

    Raises what the environment, the baseline, the algorithm or the optimizer raises.
    """
    while learner.progress < 1:
        yield learner.learn(collector.collect())
