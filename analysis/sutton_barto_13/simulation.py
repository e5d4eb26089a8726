"""Simulation of the book's algorithm on the short corridor in NumPy; writes its results to expected.json.

    python -m analysis.sutton_barto_13.simulation [--runs 1000]

It shares no code with pgexp. The policy is ``pi(right) = 1 / (1 + e^-h)`` with the preference for right minus that for
left, h. Each preference changes by alpha times its own derivative, so h changes by twice the derivative of ``ln pi``.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Order = Literal["episode", "step", "sums"]
ORDERS: Final[tuple[Order, ...]] = ("episode", "step", "sums")
EXPECTED: Final = Path(__file__).with_name("expected.json")
EPISODES: Final = 1000
LIMIT: Final = 1000  # steps after which an episode is cut
START: Final = 0.05  # pi(right)
OPTIMUM: Final = -(6 + 4 * 2**0.5)  # at pi(right) = 2 - sqrt 2
LAST: Final = 100  # episodes that measure the end of a run
BLOCK: Final = 20  # episodes per point of a curve


class Setting(NamedTuple):
    """A curve: the exponents of two of the policy's and the baseline's step size, None without a baseline."""

    alpha: int
    alpha_w: int | None = None

    def __str__(self) -> str:
        return f"2^{self.alpha}" + ("" if self.alpha_w is None else f", baseline 2^{self.alpha_w}")


SETTINGS: Final = (Setting(-12), Setting(-13), Setting(-14), Setting(-9, -6), Setting(-9), Setting(-13, -6))


def expected_return(right: float) -> float:
    """Return the mean return of the policy from the start, ``-(4 - 2 p) / (p (1 - p))``."""
    return -(4 - 2 * right) / (right * (1 - right))


def play(right: Array, chance: np.random.Generator) -> tuple[Array, Array]:
    """Play an episode of each run with pi(right) [R]; return the right moves [T, R] and the lengths [R]."""
    went, lengths = np.zeros((LIMIT, right.size), dtype=bool), np.full(right.size, LIMIT)
    live, place = np.arange(right.size), np.zeros(right.size, dtype=int)
    for time in range(LIMIT):
        going = chance.random(live.size) < right[live]
        went[time, live] = going
        place = np.maximum(place + np.where(going != (place == 1), 1, -1), 0)
        ended = place == 3
        if ended.any():
            lengths[live[ended]] = time + 1
            live, place = live[~ended], place[~ended]
        if not live.size:
            break
    return went[: lengths.max()], lengths


def update(h: Array, w: Array, went: Array, lengths: Array, setting: Setting, order: Order) -> tuple[Array, Array]:
    """Return h and w after an episode of each run; the return from time t on is ``G = -(length - t)``.

    step: the book's box. At each t ``delta = G - w``, then w changes by ``alpha_w delta`` and theta by ``alpha delta
    grad ln pi``, with their current values. episode: theta changes once, by the sum with the w and policy of the
    episode; w changes step by step. sums: w also changes once; it may overflow, and its run is then lost.
    """
    alpha, alpha_w = 2.0**setting.alpha, 0.0 if setting.alpha_w is None else 2.0**setting.alpha_w
    later, later_w = h.copy(), w.copy()
    for time, going in enumerate(went):
        live = np.flatnonzero(time < lengths)
        value = time - lengths[live]
        now, now_w = (later, later_w) if order == "step" else (h, w)
        delta = value - now_w[live]
        later[live] += 2 * alpha * delta * (going[live] - sigmoid(now[live]))
        later_w[live] += alpha_w * (value - (w if order == "sums" else later_w)[live])
    return later, later_w


def sigmoid(h: Array) -> Array:
    """Return ``1 / (1 + e^-h)``."""
    return 0.5 * (1 + np.tanh(0.5 * h))


def simulate(setting: Setting, order: Order, runs: int, seed: int) -> Array:
    """Return the total reward of every episode of every run, [EPISODES, R]."""
    chance = np.random.default_rng([seed, -setting.alpha, -(setting.alpha_w or 0), ORDERS.index(order)])
    h, w = np.full(runs, np.log(START / (1 - START))), np.zeros(runs)
    returns = np.zeros((EPISODES, runs))
    for episode in returns:
        went, lengths = play(sigmoid(h), chance)
        episode[:] = -lengths
        h, w = update(h, w, went, lengths, setting, order)
    return returns


def summary(returns: Array) -> Mapping[str, Any]:
    """Return the compared statistics of the runs' returns, [EPISODES, R].

    A run collapsed if its last episodes are worse on average than the known return of the first policy.
    """
    last = returns[-LAST:].mean(0)
    collapsed = last < expected_return(START)
    parts = {
        "first": returns[0],
        "early": returns[:LAST].mean(0),
        "all": returns.mean(0),
        "last": last,
        "last_others": last[~collapsed],
    }
    moments = {name: _moments(part) for name, part in parts.items()}
    counts = {"runs": last.size, "collapsed": int(collapsed.sum()), "capped": int((returns == -LIMIT).sum())}
    curve = returns.reshape(-1, BLOCK, last.size).mean((1, 2))
    return counts | moments | {"last_median": float(np.median(last)), "curve": curve.round(2).tolist()}


def _moments(part: Array) -> Mapping[str, float] | None:
    if part.size < 2:
        return None
    return {"n": part.size, "mean": round(float(part.mean()), 4), "std": round(float(part.std(ddof=1)), 4)}


def main() -> None:
    """Simulate every setting in each order that changes it, and write the statistics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=13)
    arguments = parser.parse_args()
    np.seterr(over="ignore", invalid="ignore")  # from w in order sums: pi(right) becomes NaN, and all moves are left
    results: dict[str, dict[str, Any]] = {}
    for setting in SETTINGS:
        for order in ORDERS[:2] if setting.alpha_w is None else ORDERS:
            found = summary(simulate(setting, order, arguments.runs, arguments.seed))
            results.setdefault(str(setting), {})[order] = found
            print(setting, order, {key: value for key, value in found.items() if key != "curve"}, flush=True)
    EXPECTED.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
