"""A sweep that is called again trains what is new, and is made of that and of what had finished before."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pgexp.storage.record import Record, read
from tests.cli.conftest import SHORT
from tests.cli.console import Answer, Server, shell
from tests.cli.store import Store

LOOKS = "sweep.rerun=false"
Called = Callable[..., tuple[Answer, Record]]


@pytest.fixture(scope="module")
def folder(ready: Server, workplace: Callable[[], Path]) -> Path:
    """A working folder in which a sweep over two seeds, and then one over three, has been called."""
    place = workplace()
    for name, seeds in (("first", "1,2"), ("second", "1,2,3")):
        answer = ready.run(place, "-m", *SHORT, "baseline=mean", f"seed={seeds}", LOOKS, f"hydra.sweep.dir={name}")
        assert (answer.code, answer.err) == (0, "")
        (place / f"{name}.txt").write_text(answer.out)
    return place


@pytest.fixture(scope="module")
def again(folder: Path, ready: Server) -> Called:
    """Calls a sweep in that folder once more; returns what it said and its record."""
    calls = iter(range(100))

    def call(*arguments: str) -> tuple[Answer, Record]:
        place = f"again-{next(calls)}"
        answer = ready.run(folder, "-m", *SHORT, *arguments, f"hydra.sweep.dir={place}")
        return answer, read(folder / place)

    return call


def seeds(record: Record) -> tuple[list[int], list[int]]:
    """Return the seeds that a sweep trained, and those of the runs that it reused."""
    return [run.seed for run in record.runs], [run.seed for run in record.reused]


def test_only_what_is_new_is_trained(folder: Path) -> None:
    said = (folder / "second.txt").read_text().splitlines()
    assert said[0] == "2 of 3 runs have finished before, and are not trained again (sweep.rerun=true)"
    assert [line for line in said if line.startswith("3 of 3 runs done, 2 of them before: ")]
    first, second = read(folder / "first"), read(folder / "second")
    assert seeds(second) == ([3], [1, 2])
    assert [run.record for run in second.reused] == [run.record for run in first.runs]
    assert [run.folder for run in second.reused] == [str(folder / "first" / "0"), str(folder / "first" / "1")]
    assert not (folder / "second" / "0" / "rows.jsonl").exists()
    assert (folder / "second" / "2" / "rows.jsonl").exists()


def test_a_configuration_stands_for_all_of_its_seeds_in_mlflow(folder: Path) -> None:
    counts = {
        run.data.tags["pgexp.sweep"]: run.data.metrics["over_seeds/seeds"]
        for run in Store(folder).every
        if run.data.tags["pgexp.role"] == "configuration"
    }
    assert [counts[read(folder / name).sweep or ""] for name in ("first", "second")] == [2, 3]


@pytest.mark.slow
def test_the_comparison_shows_all_seeds(folder: Path, tmp_path: Path) -> None:
    sweep = read(folder / "second").sweep
    answer = shell(folder, "pgexp-compare", sweep or "", "--out", str(tmp_path))
    assert (answer.code, answer.err) == (0, "")
    assert [line.split()[2] for line in answer.out.splitlines() if line.startswith("CartPole-v1 mean ")] == ["3"]


@pytest.mark.slow
def test_a_sweep_of_which_all_has_finished_trains_nothing(again: Called) -> None:
    answer, record = again("baseline=mean", "seed=1,2", LOOKS)
    assert answer.code == 0
    assert "2 of 2 runs done, 2 of them before: " in answer.out
    assert seeds(record) == ([], [1, 2])


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("baseline=mean", "seed=1", "sweep.rerun=true"),
        ("baseline=mean", "seed=1", LOOKS, "optimizer.lr=0.5"),  # another key
        ("baseline=mean", "seed=1", LOOKS, "registry.name=pole"),  # which a run leaves beside its numbers
    ],
    ids=" ".join,
)
def test_what_is_asked_for_or_differs_is_trained(again: Called, arguments: tuple[str, ...]) -> None:
    answer, record = again(*arguments)
    assert answer.code == 0
    assert seeds(record) == ([1], [])


@pytest.mark.slow
def test_a_store_that_cannot_be_asked_is_told_and_all_is_trained(again: Called) -> None:
    answer, record = again("baseline=mean", "seed=1", LOOKS, "tracking.uri=http://127.0.0.1:9")  # nobody listens
    assert answer.code == 0
    assert answer.out.startswith("all runs are trained, because finished runs could not be looked up: ")
    assert seeds(record) == ([1], [])


@pytest.mark.slow
def test_a_plan_is_of_what_is_left(folder: Path, ready: Server) -> None:
    words = ("-m", *SHORT, "baseline=mean", "seed=1,2,7", LOOKS, "sweep.dry_run=true", "hydra.sweep.dir=plan")
    answer = ready.run(folder, *words)
    assert (answer.code, answer.err) == (0, "")
    assert "1 runs, 200 steps, 1 at once" in answer.out
    assert not (folder / "plan").exists()


def test_a_reused_run_s_job_keeps_the_config_that_hydra_writes(folder: Path) -> None:
    assert {path.name for path in (folder / "second" / "0" / ".hydra").iterdir()} == {
        *("config.yaml", "hydra.yaml", "overrides.yaml"),
    }
    assert json.loads((folder / "second" / "record.json").read_text())["settings"]["sweep"]["rerun"] is False
