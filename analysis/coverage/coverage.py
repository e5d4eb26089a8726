"""Simulated coverage of 95 % intervals: every method, estimate, size and distribution.

`make coverage` writes the tables as CSV files in this folder and into its README.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
import pandas as pd

from analysis.coverage.across import across_environments, improvement
from analysis.coverage.bootstraps import ESTIMATORS, STATISTICS, bca_interval, percentile_interval, studentised_interval
from analysis.coverage.distributions import ALL, Distribution
from pgexp.statistics.intervals import Interval, order_statistic_interval, t_interval, trimmed_t_interval
from pgexp.statistics.point_estimates import FloatArray, looks_skewed, shortfalls

SIZES: Final = (3, 5, 10, 20, 30)
SAMPLES: Final = 40_000
BOOTSTRAPPED: Final = 2_000  # samples for a bootstrap method
RESAMPLES: Final = 1_000

Method = Callable[[FloatArray], Interval | None]


def percentile(name: str) -> Method:
    """Return the percentile bootstrap of an estimate."""
    return lambda sample: percentile_interval([sample], STATISTICS[name], resamples=RESAMPLES)


def bca(name: str) -> Method:
    """Return the BCa bootstrap of an estimate."""
    return lambda sample: bca_interval([sample], STATISTICS[name], resamples=RESAMPLES)


def studentised(name: str) -> Method:
    """Return the studentised bootstrap of an estimate."""
    return lambda sample: studentised_interval([sample], ESTIMATORS[name], resamples=RESAMPLES)


BOOTSTRAPS: Final = ("percentile", "BCa", "studentised")
METHODS: Final[dict[tuple[str, str], Method]] = {
    ("mean", "t"): t_interval,
    ("mean", "percentile"): percentile("mean"),
    ("mean", "BCa"): bca("mean"),
    ("mean", "studentised"): studentised("mean"),
    ("iqm", "trimmed t"): trimmed_t_interval,
    ("iqm", "percentile"): percentile("iqm"),
    ("iqm", "BCa"): bca("iqm"),
    ("iqm", "studentised"): studentised("iqm"),
    ("median", "order statistics"): order_statistic_interval,
    ("median", "percentile"): percentile("median"),
    ("median", "BCa"): bca("median"),
    ("optimality_gap", "t"): t_interval,
    ("optimality_gap", "BCa"): bca("mean"),
}


def samples(distribution: Distribution, n: int, count: int) -> FloatArray:
    """Return `count` samples of n scores from a fixed seed: ``[count, n]``."""
    return distribution.draw(np.random.default_rng([crc32(distribution.name.encode()), n]), (count, n))


def cell(estimate: str, method: str, distribution: Distribution, n: int) -> dict[str, object]:
    """Return the coverage and width of the intervals of many samples; a missing interval covers nothing."""
    count = BOOTSTRAPPED if method in BOOTSTRAPS else SAMPLES
    drawn, truth = samples(distribution, n, count), distribution.truths[estimate]
    if estimate == "optimality_gap":
        drawn = shortfalls(drawn, distribution.target)
    found = [interval for sample in drawn if (interval := METHODS[estimate, method](sample)) is not None]
    low, high = np.array(found).reshape(-1, 2).T
    return {
        "estimate": estimate,
        "method": method,
        "distribution": distribution.name,
        "n": n,
        "samples": count,
        "found": len(found) / count,
        "coverage": ((low <= truth) & (truth <= high)).sum() / count if found else np.nan,
        "above": (truth < low).sum() / count,
        "below": (truth > high).sum() / count,
        "median_width": np.median(high - low) if found else np.nan,
    }


def warned(distribution: Distribution, n: int) -> dict[str, object]:
    """Return the share of samples that look skewed, and the coverage of the mean's t interval for both kinds."""
    drawn, truth = samples(distribution, n, SAMPLES // 2), distribution.mean
    skewed = np.array([looks_skewed(sample) for sample in drawn])
    low, high = np.array([t_interval(sample) for sample in drawn]).T
    covered = (low <= truth) & (truth <= high)
    return {
        "distribution": distribution.name,
        "n": n,
        "samples": len(drawn),
        "warned": skewed.mean(),
        "coverage_warned": covered[skewed].mean(),
        "coverage_not_warned": covered[~skewed].mean(),
    }


def wide(frame: pd.DataFrame, rows: list[str], value: str, columns: str = "n") -> str:
    """Return a Markdown table of a value by n, or by another column; rows and columns keep their order."""
    heads = list(dict.fromkeys(frame[columns]))
    names = [*rows, *(f"n = {head}" if columns == "n" else str(head) for head in heads)]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for key, group in frame.groupby(rows, sort=False):
        values = group.set_index(columns)[value].reindex(heads)
        shown = ["-" if np.isnan(one) else f"{one:.3f}".replace("0.", ".", one < 1) for one in values]
        lines.append("| " + " | ".join([*map(str, key), *shown]) + " |")
    return "\n".join(lines)


def tables() -> Iterator[tuple[str, str, pd.DataFrame, str]]:
    """Yield the name, title, data and Markdown of each table."""
    sizes = [(distribution, n) for distribution in ALL for n in SIZES]
    one = pd.DataFrame([cell(*method, *size) for method in METHODS for size in sizes])
    rows = ["estimate", "method", "distribution"]
    yield "coverage", "Coverage of the intervals of one sample", one, wide(one, rows, "coverage")
    yield "width", "Median width of the same intervals", one, wide(one, rows, "median_width")
    caveats = pd.DataFrame([warned(*size) for size in sizes])
    yield "caveat", "Share of samples with a warning of skewness", caveats, wide(caveats, ["distribution"], "warned")
    yield (
        *("caveat", "Coverage of the mean's t interval without a warning", caveats),
        wide(caveats, ["distribution"], "coverage_not_warned"),
    )
    pairs = pd.DataFrame(improvement())
    yield (
        *("improvement", "Coverage of the interval of the probability of improvement", pairs),
        wide(pairs, ["scores", "probability"], "coverage", "sizes"),
    )
    several = pd.DataFrame(across_environments())
    yield (
        *("environments", "Coverage of the intervals across environments", several),
        wide(several, ["estimate", "method", "distribution", "environments"], "coverage"),
    )


def main() -> None:
    """Write every table as CSV, and all of them into the README below its heading."""
    folder, parts = Path(__file__).parent, []
    for name, title, frame, markdown in tables():
        if name != "width":
            frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.4f")
        parts.append(f"### {title}\n\n{markdown}\n")
        print(parts[-1], flush=True)
    readme, heading = folder / "README.md", "## Tables\n\n"
    text = readme.read_text(encoding="utf-8").partition(heading)[0]
    readme.write_text(text + heading + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
