"""Simulated coverage of the interval of the median steps to a threshold.

    python -m analysis.error_rates.steps_to_threshold

The steps are exponential or lognormal (sigma 1 / 2), with median 1. Seeds are followed to a quantile of the steps. With
interruptions, each seed also stops at a rate of one third of the threshold's. For 4,000 simulated sets per row: the
share whose interval holds 1 (a missing end is unbounded), the share with an upper end, and the share with a median.
"""

import numpy as np

from analysis.error_rates.samplers import table
from pgexp.statistics.point_estimates import FloatArray
from pgexp.statistics.survival import StepsToThreshold, median_steps_to_threshold

SETS = 4_000


def followed(passages: FloatArray, ends: FloatArray) -> StepsToThreshold:
    """Return the estimate for seeds that would reach the threshold at `passages` and are followed to `ends`."""
    reached = passages <= ends
    return median_steps_to_threshold(
        [step if done else None for step, done in zip(passages, reached, strict=True)], ends
    )


def row(kind: str, n: int, reaching: float, failing: bool) -> list[object]:
    """Return a row of the table."""
    generator = np.random.default_rng(n)
    normal = generator.normal(size=(SETS, n))
    passages = generator.exponential(size=(SETS, n)) / np.log(2) if kind == "exponential" else np.exp(normal / 2)
    ends = np.full((SETS, n), np.quantile(passages, reaching) if reaching < 1 else passages.max())
    if failing:
        ends = np.minimum(ends, generator.exponential(size=(SETS, n)) * 3 / np.log(2))
    found = [followed(*each) for each in zip(passages, ends, strict=True)]
    holds = [(s.low is None or s.low <= 1) and (s.high is None or s.high >= 1) for s in found]
    bounded, known = [s.high is not None for s in found], [s.median is not None for s in found]
    shares = (float(np.mean(share)) for share in (holds, bounded, known))
    return [kind, n, f"{reaching:.0%}", "yes" if failing else "no", *shares]


def main() -> None:
    """Print the table."""
    cases = [(1.0, False), (0.7, False), (0.7, True)]
    rows = (row(kind, n, *case) for kind in ("exponential", "lognormal") for n in (5, 10, 20, 30) for case in cases)
    head = ("steps", "n", "reach it", "interruptions", "holds the median", "bounded above", "has a median")
    table("The 95 % interval of the median steps to a threshold", head, rows)


if __name__ == "__main__":
    main()
