"""How a rate changes over a run."""

from collections.abc import Callable
from math import cos, pi
from typing import Final

SCHEDULES: Final[dict[str, Callable[[float], float]]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: 0.5 * (1.0 + cos(pi * progress)),
}
"""Each gives the factor on the first rate at a progress from 0 to 1. Linear and cosine (Loshchilov & Hutter 2017,
eq. 5, without restarts) fall to 0."""
