import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pgexp.storage.record import Record, RunRecord, Tracking, write


@pytest.fixture
def uri(fresh_store: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(fresh_store, tmp_path / 'mlflow.db')}"


@pytest.fixture
def make_record(tmp_path: Path) -> Callable[..., Record]:
    """Writes the record of a sweep over some configurations, named by a letter, with some seeds of each."""

    def make(uri: str = "sqlite:///absent.db", names: str = "ab", seeds: Sequence[int] = (0, 1)) -> Record:
        record = Record(
            folder=tmp_path / "sweep",
            sweep="sweep-1",
            name="a and b",
            command="pgexp -m lr=a,b",
            tracking=Tracking(uri, "corridor", points=2),
            runs=tuple(run_record(name, seed, f"runs/{name}-{seed}") for name in names for seed in seeds),
            tags={"pgexp.code": "c0de"},
        )
        write(record)
        return record

    return make


@pytest.fixture
def single(uri: str, tmp_path: Path) -> Record:
    run = run_record("a", 7, ".")
    record = Record(
        tmp_path / "single", None, "single", "pgexp seed=7", Tracking(uri, "corridor", points=2), (run,), {}
    )
    write(record)
    return record


def run_record(name: str, seed: int, folder: str) -> RunRecord:
    return RunRecord(
        folder=folder,
        record=f"record-{name}-{seed}",
        name=f"lr={name} seed={seed}",
        key=f"key-{name}-{seed}",
        configuration=f"configuration-{name}",
        configuration_name=f"lr={name}",
        seed=seed,
        params={"lr": name, "seed": seed, "gamma": 0.5, "baseline.own": True},
        tags={"pgexp.reward_threshold": "475", "of_seed": str(seed)},
    )
