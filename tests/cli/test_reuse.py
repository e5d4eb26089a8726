"""Reuse of finished runs: a repeated sweep trains new runs only."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.runs.manifest import SweepManifest, load_manifest
from tests.cli.conftest import SHORT
from tests.cli.console import Answer, Server, shell
from tests.cli.mlflow_store import Store

LOOKS = "sweep.rerun=false"
Called = Callable[..., tuple[Answer, SweepManifest]]


@pytest.fixture(scope="module")
def folder(ready: Server, workplace: Callable[[], Path]) -> Path:
    """A working directory with a sweep over two seeds, and a later one over three."""
    place = workplace()
    for name, seeds in (("first", "1,2"), ("second", "1,2,3")):
        answer = ready.run(place, "-m", *SHORT, "baseline=mean", f"seed={seeds}", LOOKS, f"hydra.sweep.dir={name}")
        assert (answer.code, answer.err) == (0, "")
        (place / f"{name}.txt").write_text(answer.out)
    return place


@pytest.fixture(scope="module")
def again(folder: Path, ready: Server) -> Called:
    """Return a function that runs a sweep in that folder, and returns its answer and manifest."""
    calls = iter(range(100))

    def call(*arguments: str) -> tuple[Answer, SweepManifest]:
        place = f"again-{next(calls)}"
        answer = ready.run(folder, "-m", *SHORT, *arguments, f"hydra.sweep.dir={place}")
        return answer, load_manifest(folder / place)

    return call


def seeds(record: SweepManifest) -> tuple[list[int], list[int]]:
    """Return the seeds that a sweep trained, and those of the runs that it reused."""
    return [run.seed for run in record.runs], [run.seed for run in record.cached]


def test_only_new_runs_are_trained(folder: Path) -> None:
    lines = (folder / "second.txt").read_text().splitlines()
    assert lines[0] == "2 of 3 runs have finished before and are not trained again (sweep.rerun=true trains them)"
    assert [line for line in lines if line.startswith("3 of 3 runs done, 2 of them earlier: ")]
    first, second = load_manifest(folder / "first"), load_manifest(folder / "second")
    assert seeds(second) == ([3], [1, 2])
    assert [run.record for run in second.cached] == [run.record for run in first.runs]
    assert [run.folder for run in second.cached] == [str(folder / "first" / "0"), str(folder / "first" / "1")]
    assert not (folder / "second" / "0" / "rows.jsonl").exists()
    assert (folder / "second" / "2" / "rows.jsonl").exists()


def test_configuration_in_mlflow_aggregates_all_seeds(folder: Path) -> None:
    counts = {
        run.data.tags["pgexp.sweep"]: run.data.metrics["over_seeds/seeds"]
        for run in Store(folder).every
        if run.data.tags["pgexp.role"] == "configuration"
    }
    assert [counts[load_manifest(folder / name).sweep or ""] for name in ("first", "second")] == [2, 3]


@pytest.mark.slow
def test_comparison_includes_reused_seeds(folder: Path, tmp_path: Path) -> None:
    sweep = load_manifest(folder / "second").sweep
    answer = shell(folder, "pgexp-compare", sweep or "", "--out", str(tmp_path))
    assert (answer.code, answer.err) == (0, "")
    assert [line.split()[2] for line in answer.out.splitlines() if line.startswith("CartPole-v1 mean ")] == ["3"]


@pytest.mark.parametrize("processes", [0, 1])
def test_finished_sweep_trains_nothing(again: Called, processes: int) -> None:
    answer, record = again("baseline=mean", "seed=1,2", LOOKS, f"workers.processes={processes}")
    assert (answer.code, answer.err) == (0, "")
    assert "2 of 2 runs done, 2 of them earlier: " in answer.out
    assert seeds(record) == ([], [1, 2])


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("baseline=mean", "seed=1", "sweep.rerun=true"),
        ("baseline=mean", "seed=1", LOOKS, "optimizer.lr=0.5"),  # another key
        ("baseline=mean", "seed=1", LOOKS, "registry.name=pole"),  # not part of the identity, but of the run's effects
    ],
    ids=" ".join,
)
def test_rerun_and_other_configs_are_trained(again: Called, arguments: tuple[str, ...]) -> None:
    answer, record = again(*arguments)
    assert answer.code == 0
    assert seeds(record) == ([1], [])


@pytest.mark.slow
@pytest.mark.parametrize("other", ["tracking.experiment=other", "tracking.uri=http://127.0.0.1:9"])
def test_runs_of_another_experiment_or_store_are_not_reused(again: Called, other: str) -> None:
    answer, manifest = again("baseline=mean", "seed=1", LOOKS, other)
    assert answer.code == 0
    assert seeds(manifest) == ([1], [])


@pytest.mark.slow
def test_dry_run_covers_new_runs_only(folder: Path, ready: Server) -> None:
    words = ("-m", *SHORT, "baseline=mean", "seed=1,2,7", LOOKS, "sweep.dry_run=true", "hydra.sweep.dir=plan")
    answer = ready.run(folder, *words)
    assert (answer.code, answer.err) == (0, "")
    assert "1 runs, 600 steps, 1 at the same time" in answer.out
    assert not (folder / "plan").exists()


def test_reused_run_has_hydra_files(folder: Path) -> None:
    assert {path.name for path in (folder / "second" / "0" / ".hydra").iterdir()} == {
        *("config.yaml", "hydra.yaml", "overrides.yaml"),
    }
    assert json.loads((folder / "second" / "manifest.json").read_text())["settings"]["sweep"]["rerun"] is False
