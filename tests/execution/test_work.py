"""Training of an order's runs, from their checkpoints, while the command holds the lease."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pgexp.execution import commanding, work
from pgexp.execution.checkpoints import checkpoint_path
from pgexp.execution.orders import Order
from pgexp.execution.plan import Job
from pgexp.execution.work import train_run
from pgexp.storage.spool import End, Row, SpoolReader
from tests.conftest import Compose
from tests.execution.own import mine
from tests.streams import episode_seed

MakeOrder = Callable[..., Order]


@pytest.fixture
def order(clock: Compose, tmp_path: Path) -> MakeOrder:
    """Return a function that makes the order of three seeds and takes the lease for it."""

    def made(*overrides: str) -> Order:
        commanding.take_over(tmp_path, "ours")
        jobs = tuple(Job(clock(f"seed={seed}", *overrides), tmp_path / str(seed)) for seed in range(3))
        return Order("ours", 0, tmp_path, jobs, ())

    return made


def ends(*jobs: Job) -> list[tuple[str, str]]:
    """Return each run's last status and its reason."""
    last = [SpoolReader(job.folder / "rows.jsonl").read()[-1] for job in jobs]
    return [(item.status, item.reason) for item in last if isinstance(item, End)]


def ignore(share: float, rate: float, return_mean: float | None) -> None:
    """Show nothing."""


def train(jobs: Sequence[Job]) -> list[int]:
    """Train jobs, and return the numbers of those that finished."""
    return [number for number, job in enumerate(jobs) if train_run(job, ignore) is not None]


def test_runs_are_trained_to_their_ends(order: MakeOrder) -> None:
    assert work.work(order(), alone=lambda: False)
    assert ends(*order().jobs) == [("FINISHED", "")] * 3


def test_a_worker_whose_turn_comes_after_another_command_took_over_touches_nothing(
    order: MakeOrder, tmp_path: Path
) -> None:
    waited = order()
    commanding.take_over(tmp_path, "another")
    assert not work.work(waited, alone=lambda: False)
    assert not any(job.folder.exists() for job in waited.jobs)


def test_a_dismissed_worker_leaves_a_checkpoint_of_its_run_and_does_not_begin_the_others(
    order: MakeOrder, tmp_path: Path
) -> None:
    endless = order("budget.steps=1_000_000", "checkpoint.seconds=null")
    asked = []

    def alone() -> bool:
        asked.append(True)
        if len(asked) == 2:  # the first run trains
            commanding.dismiss(tmp_path)
        return False

    assert not work.work(endless, alone)
    assert ends(endless.jobs[0]) == [("KILLED", "interrupted")]
    assert checkpoint_path(endless.jobs[0].folder, "last").exists()
    assert not any(job.folder.exists() for job in endless.jobs[1:])


def test_a_worker_whose_command_has_died_stops(order: MakeOrder) -> None:
    answers = iter([False, True])
    assert not work.work(order("budget.steps=1_000_000"), lambda: next(answers))


def test_only_the_run_whose_checkpoint_is_damaged_fails(order: MakeOrder) -> None:
    jobs = order().jobs
    checkpoint_path(jobs[1].folder, "last").parent.mkdir(parents=True)
    checkpoint_path(jobs[1].folder, "last").write_bytes(b"nonsense")
    assert train(jobs) == [0, 2]
    (first, (status, reason), last) = ends(*jobs)
    assert first == last == ("FINISHED", "")
    assert (status, "last.safetensors" in reason) == ("FAILED", True)


def test_runs_that_cannot_be_assembled_fail_with_the_reason(order: MakeOrder) -> None:
    jobs = order("baseline=none", "algorithm.time_limit=bootstrap")
    assert work.work(jobs, alone=lambda: False)
    assert [status for status, _ in ends(*jobs.jobs)] == ["FAILED"] * 3
    assert all("algorithm.time_limit=bootstrap" in reason for _, reason in ends(*jobs.jobs))
    assert (jobs.jobs[0].folder / "error.txt").exists()


def test_a_finished_run_is_not_trained_again(order: MakeOrder) -> None:
    (job, *_) = order().jobs
    train_run(job, ignore)
    rows = [item for item in SpoolReader(job.folder / "rows.jsonl").read() if isinstance(item, Row)]
    train_run(job, ignore)
    assert [item for item in SpoolReader(job.folder / "rows.jsonl").read() if isinstance(item, Row)] == rows
    assert ends(job) == [("FINISHED", "")]


class TestSystemErrors:
    """An OSError of the record ends the worker; an OSError of an environment fails its run."""

    def test_of_the_record_is_raised(self, order: MakeOrder, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(folder: Path, key: str) -> None:
            raise OSError("the disk is gone")

        monkeypatch.setattr(work, "read_state", read)
        with pytest.raises(OSError, match="the disk is gone"):
            train(order().jobs)

    def test_of_an_environment_in_training_fails_its_run(self, order: MakeOrder) -> None:
        jobs = order("+env.kwargs.deed=lose", f"+env.kwargs.when={episode_seed(1, 'env', 0, 2)}").jobs
        assert train(jobs) == [0, 2]
        lost = ("FAILED", "ConnectionResetError: [Errno 104] the simulator is gone")
        assert ends(*jobs) == [("FINISHED", ""), lost, ("FINISHED", "")]

    def test_of_an_environment_in_resuming_fails_its_run(
        self, clock: Compose, configured: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first checkpoint is in the middle of episodes, which the environment has to repeat."""
        segments = ("algorithm.batch.episodes=null", "algorithm.batch.steps=6", "env.num_envs=2", "baseline=value")
        job = Job(clock(*segments), tmp_path / "0")
        other = Job(configured("network=linear", "baseline=mean", "budget.steps=100"), tmp_path / "1")
        with pytest.raises(KeyboardInterrupt):
            train_run(job, ignore, lambda: True)
        monkeypatch.setattr(mine.Clock, "step", lambda self, action: mine.lose())
        assert train([job, other]) == [1]
        assert ends(job, other) == [
            ("FAILED", "ConnectionResetError: [Errno 104] the simulator is gone"),
            ("FINISHED", ""),
        ]
        assert "in restore\n" in (job.folder / "error.txt").read_text()
