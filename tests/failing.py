"""Configurations of runs in which an environment, a baseline or an optimizer fails."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from pgexp.baselines.baseline import Baseline
from pgexp.functional.arrays import Floats
from pgexp.functional.batch import Batch, Returns
from pgexp.schema.config import Option, RunConfig
from tests.conftest import Compose
from tests.streams import episode_seed

BAD = 1  # seed of the run that fails
SHORT = ("network=mlp", "network.widths=[4]", "evaluation.every=null", "evaluation.final_episodes=2")
MODES = {
    "episodes": ("env.num_envs=2", "algorithm.batch.episodes=4", "budget.steps=600"),
    "segments": ("env.num_envs=2", "algorithm.batch.episodes=null", "algorithm.batch.steps=24", "budget.steps=400"),
}


class Moody(Baseline):
    """A baseline of zero that raises at its third update."""

    biased = False
    state_attributes = ("updates",)

    def __init__(self) -> None:
        self.updates = 0

    def values(self, batch: Batch, returns: Returns) -> Floats:
        return returns.per_step * 0

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        self.updates += 1
        if self.updates == 3:
            raise LookupError("no mood\n left")
        return {}


class Sly(Moody):
    """A baseline that counts its updates without declaring the counter, and does not raise."""

    state_attributes = ()

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        self.updates += 10
        return {}


class Opaque(Moody):
    """A baseline whose state cannot be saved from its second update on."""

    def update(self, batch: Batch, returns: Returns) -> dict[str, float]:
        self.updates: Any = self.updates + 1 if self.updates == 0 else print
        return {}


class Brittle(torch.optim.SGD):
    """Gradient descent that sets the parameters to NaN and then raises SystemExit."""

    def step(self, closure: Callable[[], float] | None = None) -> None:
        with torch.no_grad():
            self.param_groups[0]["params"][0].mul_(float("nan"))
        raise SystemExit(3)


def at(config: RunConfig, seed: int) -> RunConfig:
    """Return the config with another seed."""
    return replace(config, seed=seed)


def faulty(configured: Compose, *overrides: str, place: tuple[int, int] = (1, 2), **faults: Any) -> RunConfig:
    """Return the config of a walk with a fault in the run of the seed BAD. place: environment and episode."""
    config = configured("env.id=tests.probes:pgexp-probe/Faulty-v0", *SHORT, *overrides)
    kwargs: Mapping[str, Any] = {"when": episode_seed(BAD, "env", *place), **faults}
    return replace(config, env=replace(config.env, kwargs=dict(kwargs)))


def sound(configured: Compose, *overrides: str) -> RunConfig:
    """Return the config of the same walk without a fault."""
    return configured("env.id=tests.probes:pgexp-probe/Walk-v0", *SHORT, *overrides)


def moody(config: RunConfig, name: str = "Moody") -> RunConfig:
    """Return the config with the seed BAD and a baseline of this module."""
    return replace(config, seed=BAD, baseline=Option(f"{__name__}.{name}", {}))


def brittle(config: RunConfig) -> RunConfig:
    """Return the config with the seed BAD and an optimizer that raises during its first step."""
    return replace(config, seed=BAD, optimizer=Option(f"{__name__}.Brittle", {"lr": 0.01}))
