"""Runs assembled on probes, with a policy that is uniform at first unless a test sets it otherwise."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

import tests.probes  # noqa: F401 - registers the probes
from pgexp.execution.assembly import Run, assemble
from pgexp.schema.config import RunConfig
from tests.conftest import Compose

Assemble = Callable[[RunConfig], Run]
MakeRun = Callable[..., Run]


@pytest.fixture(scope="session")
def configured(configured: Compose) -> Compose:
    """Return a function from overrides to the typed config, which composes each config once."""
    return cache(configured)


@pytest.fixture(scope="session")
def probe_config(configured: Compose) -> Compose:
    """Return a function from a probe's name, overrides and the probe's own arguments to a config."""

    def config(probe: str, *overrides: str, seed: int = 0, **kwargs: Any) -> RunConfig:
        settings = ("network=linear", "baseline=none", "evaluation.every=null")
        composed = configured(f"env.id=tests.probes:pgexp-probe/{probe}-v0", *settings, *overrides)
        return replace(composed, seed=seed, env=replace(composed.env, kwargs=kwargs))

    return config


@pytest.fixture
def assembled() -> Iterator[Assemble]:
    """Return `assemble`; its runs are closed after the test."""
    runs: list[Run] = []

    def assemble_run(config: RunConfig) -> Run:
        runs.append(assemble(config))
        return runs[-1]

    yield assemble_run
    for run in runs:
        run.close()


@pytest.fixture
def run_on(probe_config: Compose, assembled: Assemble) -> MakeRun:
    """Return a function from a probe's name, overrides and the probe's own arguments to an assembled run."""

    def run(probe: str, *overrides: str, seed: int = 0, **kwargs: Any) -> Run:
        return assembled(probe_config(probe, *overrides, seed=seed, **kwargs))

    return run
