"""Manifests for tests, and an MLflow store as a copy of an empty one."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pgexp.runs.manifest import RunEntry, SweepManifest, Tracking, save_manifest


@pytest.fixture
def uri(fresh_store: Path, tmp_path: Path) -> str:
    """The address of an empty store."""
    return f"sqlite:///{shutil.copy(fresh_store, tmp_path / 'mlflow.db')}"


@pytest.fixture
def make_sweep(tmp_path: Path) -> Callable[..., SweepManifest]:
    """Return a function that writes the manifest of a sweep: configurations named by letters, with some seeds each."""

    def make(uri: str = "sqlite:///absent.db", names: str = "ab", seeds: Sequence[int] = (0, 1)) -> SweepManifest:
        manifest = SweepManifest(
            folder=tmp_path / "sweep",
            sweep="sweep-1",
            name="a and b",
            command="pgexp -m lr=a,b",
            tracking=Tracking(uri, "corridor", max_points=3),
            runs=tuple(run_entry(name, seed, f"runs/{name}-{seed}") for name in names for seed in seeds),
            tags={"pgexp.code": "c0de"},
        )
        save_manifest(manifest)
        return manifest

    return make


@pytest.fixture
def single(uri: str, tmp_path: Path) -> SweepManifest:
    """The manifest of a single run."""
    tracking = Tracking(uri, "corridor", max_points=3)
    runs = (run_entry("a", 7, "."),)
    manifest = SweepManifest(tmp_path / "single", None, "single", "pgexp seed=7", tracking, runs, {})
    save_manifest(manifest)
    return manifest


def run_entry(name: str, seed: int, folder: str) -> RunEntry:
    """Return the entry of a run; `name` is the letter of its configuration."""
    return RunEntry(
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
