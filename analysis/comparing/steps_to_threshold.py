"""Simulates how often the interval of the median steps to a threshold holds the true median.

    python -m analysis.comparing.steps_to_threshold

The steps are exponential or lognormal (sigma 1 / 2), with median 1. Seeds are followed to a horizon that so many reach;
with interruptions, each seed stops early with a rate of one third of the threshold's. Of 4,000 simulated sets a row:
the share whose interval holds 1 (an end that is None holds everything on its side), the share with an end above, and
the share with a median.
"""

import numpy as np

from analysis.comparing.seeds import table
from pgexp.statistics.estimates import FloatArray
from pgexp.statistics.survival import StepsToThreshold, steps_over_seeds

SETS = 4_000


def followed(passages: FloatArray, ends: FloatArray) -> StepsToThreshold:
    """Return what is said of seeds that would come to the threshold at such steps, and are followed to such ends."""
    reached = passages <= ends
    return steps_over_seeds([step if there else None for step, there in zip(passages, reached, strict=True)], ends)


def row(kind: str, n: int, reaching: float, failing: bool) -> list[object]:
    """Return a row of the table."""
    generator = np.random.default_rng(n)
    normal = generator.normal(size=(SETS, n))
    passages = generator.exponential(size=(SETS, n)) / np.log(2) if kind == "exponential" else np.exp(normal / 2)
    ends = np.full((SETS, n), np.quantile(passages, reaching) if reaching < 1 else passages.max())
    if failing:
        ends = np.minimum(ends, generator.exponential(size=(SETS, n)) * 3 / np.log(2))
    said = [followed(*each) for each in zip(passages, ends, strict=True)]
    holds = [(s.low is None or s.low <= 1) and (s.high is None or s.high >= 1) for s in said]
    ended, told = [s.high is not None for s in said], [s.median is not None for s in said]
    shares = (float(np.mean(share)) for share in (holds, ended, told))
    return [kind, n, f"{reaching:.0%}", "yes" if failing else "no", *shares]


def main() -> None:
    """Print the table."""
    cases = [(1.0, False), (0.7, False), (0.7, True)]
    rows = (row(kind, n, *case) for kind in ("exponential", "lognormal") for n in (5, 10, 20, 30) for case in cases)
    head = ("steps", "n", "reach it", "interruptions", "holds the median", "bounded above", "has a median")
    table("The 95 % interval of the median steps to a threshold", head, rows)


if __name__ == "__main__":
    main()
