"""Environments with compiled dynamics, by their Gymnasium ids.

Reading the ids does not import numba; a class is imported on first use.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pgexp.envs.compiled.dynamics import Dynamics

DYNAMICS: Final[Mapping[str, str]] = {
    "Acrobot-v1": "acrobot:Acrobot",
    "CartPole-v0": "cartpole:CartPoleV0",
    "CartPole-v1": "cartpole:CartPole",
    "MountainCar-v0": "mountain_car:MountainCar",
    "MountainCarContinuous-v0": "mountain_car:MountainCarContinuous",
    "Pendulum-v1": "pendulum:Pendulum",
    "pgexp/ShortCorridor-v0": "short_corridor:ShortCorridor",
}
"""Gymnasium id -> module of this package and class."""


def dynamics_class(env_id: str) -> "type[Dynamics]":
    """Return the environment's dynamics. Its constructor accepts the keyword arguments of Gymnasium's environment."""
    module, _, name = DYNAMICS[env_id].partition(":")
    found: type[Dynamics] = getattr(import_module(f"{__package__}.{module}"), name)
    return found
