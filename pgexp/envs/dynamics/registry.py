"""The environments that have array dynamics, by their ids in Gymnasium."""

from collections.abc import Mapping
from typing import Final

from pgexp.envs.dynamics.acrobot import Acrobot
from pgexp.envs.dynamics.cartpole import CartPole
from pgexp.envs.dynamics.dynamics import Dynamics
from pgexp.envs.dynamics.mountain_car import MountainCar, MountainCarContinuous
from pgexp.envs.dynamics.pendulum import Pendulum
from pgexp.envs.dynamics.short_corridor import ShortCorridor

DYNAMICS: Final[Mapping[str, type[Dynamics]]] = {
    "Acrobot-v1": Acrobot,
    "CartPole-v0": CartPole,
    "CartPole-v1": CartPole,
    "MountainCar-v0": MountainCar,
    "MountainCarContinuous-v0": MountainCarContinuous,
    "Pendulum-v1": Pendulum,
    "pgexp/ShortCorridor-v0": ShortCorridor,
}
