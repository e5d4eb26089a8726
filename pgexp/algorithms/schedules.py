"""Schedules: factors on an initial learning rate or coefficient, as functions of the spent share of the budget."""

from abc import ABC, abstractmethod
from math import cos, pi

from pgexp.schema.types import Fraction, PositiveFloat, PositiveInt


class Schedule(ABC):
    """The factor as a function of the progress, from 0 at the run's start to 1 at its end."""

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """Return the factor."""


class Constant(Schedule):
    """``min(1, p / warmup)``: 1 after the warm-up."""

    def __init__(self, warmup: Fraction = 0.0) -> None:
        self._warmup = warmup

    def __call__(self, progress: float) -> float:
        """Return the factor."""
        return _warmup_factor(progress, self._warmup)


class Linear(Schedule):
    """``1 - q + q * final``, with q the progress since the end of the warm-up."""

    def __init__(self, warmup: Fraction = 0.0, final: Fraction = 0.0) -> None:
        self._warmup, self._final = warmup, final

    def __call__(self, progress: float) -> float:
        """Return the factor."""
        q = _since_warmup(progress, self._warmup)
        return _warmup_factor(progress, self._warmup) * (1.0 - q + q * self._final)


class Cosine(Schedule):
    """``final + (1 - final) (1 + cos(pi q)) / 2`` (Loshchilov & Hutter 2017, eq. 5, without restarts)."""

    def __init__(self, warmup: Fraction = 0.0, final: Fraction = 0.0) -> None:
        self._warmup, self._final = warmup, final

    def __call__(self, progress: float) -> float:
        """Return the factor."""
        wave = 0.5 * (1.0 + cos(pi * _since_warmup(progress, self._warmup)))
        return _warmup_factor(progress, self._warmup) * (self._final + (1.0 - self._final) * wave)


class Step(Schedule):
    """``factor^floor(q * (drops + 1))``: evenly spaced drops, each by the factor."""

    def __init__(self, drops: PositiveInt, factor: PositiveFloat, warmup: Fraction = 0.0) -> None:
        self._drops, self._factor, self._warmup = drops, factor, warmup

    def __call__(self, progress: float) -> float:
        """Return the factor."""
        drops = min(self._drops, int(_since_warmup(progress, self._warmup) * (self._drops + 1)))
        return float(_warmup_factor(progress, self._warmup) * self._factor**drops)


class Exponential(Schedule):
    """``final^q``: an exponential decay that reaches `final` at the end."""

    def __init__(self, final: PositiveFloat, warmup: Fraction = 0.0) -> None:
        self._final, self._warmup = final, warmup

    def __call__(self, progress: float) -> float:
        """Return the factor."""
        return float(_warmup_factor(progress, self._warmup) * self._final ** _since_warmup(progress, self._warmup))


def _warmup_factor(progress: float, warmup: float) -> float:
    """Return the linear increase from 0 to 1 over the first share `warmup` of the run (Goyal et al. 2017)."""
    return min(1.0, progress / warmup) if warmup > 0 else 1.0


def _since_warmup(progress: float, warmup: float) -> float:
    return max(0.0, progress - warmup) / (1.0 - warmup) if warmup < 1 else 0.0
