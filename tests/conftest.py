"""Fixtures and hooks of all tests: the settings on which bits depend, a time limit per test, and composed configs."""

from pgexp.schema import determinism

determinism.pin()

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from pgexp.cli.compose import run_config
from pgexp.schema.config import RunConfig

torch.set_num_threads(1)

Compose = Callable[..., RunConfig]
CONF = Path(__file__).parents[1] / "conf"
TIME_LIMIT = float(os.environ.get("PGEXP_TEST_SECONDS", "300"))  # per setup, call or teardown of a test


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Fail what runs longer, even if it waits for a process or a signal."""

    def fail(*_: object) -> None:
        pytest.fail(f"the test has not ended after {seconds:g} seconds")

    handler = signal.signal(signal.SIGALRM, fail)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds, 5.0)  # again after 5 seconds, if clean-up code waits too
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


def _limited() -> Generator[None, object, object]:
    with time_limit(TIME_LIMIT):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    return (yield from _limited())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    return (yield from _limited())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    return (yield from _limited())


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store, which tests copy: to create one takes seconds. All pytest workers share it."""
    from pgexp.tracking.client import connect  # one and a half seconds, only for tests that need a store

    base = tmp_path_factory.getbasetemp()
    database = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "fresh store" / "mlflow.db"
    connect(f"sqlite:///{database}")  # workers that call it at the same time create one database
    return database


@pytest.fixture(scope="session")
def configured() -> Compose:
    """Return a function from overrides to the typed config."""

    def composed(*overrides: str) -> RunConfig:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("config", overrides=list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        choices = dict(config.hydra.runtime.choices)
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        return run_config(config, choices)

    return composed
