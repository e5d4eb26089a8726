"""Packs assembled on probes, with a policy that is uniform at first unless a test says otherwise."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

import tests.probes  # noqa: F401 - registers the probes
from pgexp.execution.assembly import Pack, assemble
from tests.conftest import Compose

MakePack = Callable[..., Pack]


@pytest.fixture
def pack_on(configured: Compose) -> MakePack:
    """Return a function from a probe's name, overrides and the probe's own arguments to a pack of one run a seed."""

    def pack(probe: str, *overrides: str, seeds: Sequence[int] = (0,), **kwargs: int) -> Pack:
        config = configured(
            f"env.id=pgexp-probe/{probe}-v0",
            "network=linear",
            "baseline=none",
            "evaluation.every=null",
            *overrides,
        )
        env = replace(config.env, kwargs=kwargs)
        return assemble([replace(config, seed=seed, env=env) for seed in seeds])

    return pack
