"""Write numbers.json: score matrices, and what rliable 1.2.0 makes of them.

rliable does not work with pandas 3, so it needs its own environment::

    python3 -m venv /tmp/rliable
    /tmp/rliable/bin/pip install rliable==1.2.0 pandas==2.3.3
    /tmp/rliable/bin/python tests/statistics/rliable/make_numbers.py

Matrices are [runs, tasks], as rliable has them. Its bootstraps draw from NumPy's global generator whatever random_state
they are given, which is why that one is seeded here.
"""

import json
from pathlib import Path

import numpy as np
from rliable import library, metrics

REPS = 50_000
THRESHOLDS = [-1.0, 0.0, 0.5, 1.0, 2.0]


def matrices():
    """Return the score matrices by name; most numbers of scores are not multiples of four."""
    draw = np.random.default_rng(20)
    collapsed = draw.normal(1, 0.2, size=(10, 2))
    collapsed[[1, 4], [0, 1]] = -5
    return {
        "normal": draw.normal([0.2, 0.8, 1.5], [0.3, 0.5, 0.2], size=(10, 3)),
        "lognormal": draw.lognormal(size=(7, 4)) * [0.5, 1.0, 1.0, 2.0],
        "collapsed": collapsed,
        "ties": draw.integers(0, 4, size=(6, 3)) / 2,
        "one task": draw.normal(1, 1, size=(13, 1)),
        "three runs": draw.normal(1, 1, size=(3, 5)),
    }


def estimates(scores):
    """Return the four point estimates; the optimality gap is against 1."""
    return np.array(
        [
            metrics.aggregate_mean(scores),
            metrics.aggregate_median(scores),
            metrics.aggregate_iqm(scores),
            metrics.aggregate_optimality_gap(scores, 1),
        ]
    )


def of_matrix(scores):
    """Return rliable's numbers of one matrix."""
    np.random.seed(1)
    values, intervals = library.get_interval_estimates({"": scores}, estimates, reps=REPS)
    shares, _ = library.create_performance_profile({"": scores}, THRESHOLDS, reps=2)
    names = ("mean", "median", "iqm", "optimality_gap")
    return {
        "scores": scores.tolist(),
        "estimates": dict(zip(names, values[""].tolist(), strict=True)),
        "intervals": dict(zip(names, intervals[""].T.tolist(), strict=True)),
        "profile": shares[""].tolist(),
    }


def of_pair(x, y):
    """Return rliable's probability that x beats y, averaged over tasks, with its interval."""
    np.random.seed(2)

    def improvement(x, y):
        return np.array([metrics.probability_of_improvement(x, y)])

    values, intervals = library.get_interval_estimates({"": (x, y)}, improvement, reps=2000)
    return {
        "x": x.tolist(),
        "y": y.tolist(),
        "probability": float(values[""][0]),
        "interval": intervals[""][:, 0].tolist(),
    }


def main():
    """Write numbers.json into this folder."""
    draw = np.random.default_rng(21)
    pairs = {
        "normal": (draw.normal(0.5, 1, size=(8, 1)), draw.normal(size=(5, 1))),
        "ties": (draw.integers(0, 4, size=(9, 1)) / 2, draw.integers(0, 3, size=(6, 1)) / 2),
        "equal": (np.arange(4.0)[:, None], np.arange(4.0)[:, None]),
        "apart": (draw.normal(9, 1, size=(5, 1)), draw.normal(size=(5, 1))),
        "three tasks": (draw.normal(0.5, 1, size=(6, 3)), draw.normal(size=(7, 3))),
    }
    numbers = {
        "rliable": "1.2.0",
        "resamples": REPS,
        "thresholds": THRESHOLDS,
        "matrices": {name: of_matrix(scores) for name, scores in matrices().items()},
        "pairs": {name: of_pair(x, y) for name, (x, y) in pairs.items()},
    }
    Path(__file__).with_name("numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
