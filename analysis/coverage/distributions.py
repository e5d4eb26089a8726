"""Distributions of simulated scores, with their true estimates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp
from typing import Final

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from pgexp.statistics.point_estimates import FloatArray

COLLAPSED: Final = 0.05  # share of runs that collapse in the mixture
DEPTH: Final = 20.0  # deviations below the other runs


@dataclass(frozen=True)
class Distribution:
    """A distribution of scores: its name, a sampler, its quantile function, and its mean."""

    name: str
    draw: Callable[[np.random.Generator, Sequence[int]], FloatArray]
    quantile: Callable[[float], float]
    mean: float

    @cached_property
    def truths(self) -> dict[str, float]:
        """The true value of each estimate: integrals of the quantile function, by quadrature."""
        gap = quad(lambda u: self.target - self.quantile(u), 0, 0.75, points=[COLLAPSED], limit=200)[0]
        iqm = 2 * quad(self.quantile, 0.25, 0.75)[0]
        return {"mean": self.mean, "median": self.quantile(0.5), "iqm": iqm, "optimality_gap": gap}

    @cached_property
    def target(self) -> float:
        """The target of the optimality gap; a quarter of the runs reach it."""
        return self.quantile(0.75)


def _mixture(generator: np.random.Generator, size: Sequence[int]) -> FloatArray:
    scores: FloatArray = generator.normal(size=size)
    return scores - DEPTH * (generator.random(size) < COLLAPSED)


def _mixture_quantile(u: float) -> float:
    def above(x: float) -> float:
        return float(COLLAPSED * ndtr(x + DEPTH) + (1 - COLLAPSED) * ndtr(x)) - u

    return float(brentq(above, -DEPTH - 10, 10))


NORMAL: Final = Distribution("normal", lambda rng, size: rng.normal(size=size), lambda u: float(ndtri(u)), 0.0)
LOGNORMAL: Final = Distribution(
    "lognormal", lambda rng, size: rng.lognormal(size=size), lambda u: exp(float(ndtri(u))), exp(0.5)
)
MIXTURE: Final = Distribution("5 % collapsed", _mixture, _mixture_quantile, -COLLAPSED * DEPTH)
ALL: Final = (NORMAL, LOGNORMAL, MIXTURE)
