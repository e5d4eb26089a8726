"""Interrupted searches: continued ones equal uninterrupted ones."""

import itertools
import shutil
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from pgexp.runs.locking import lock
from pgexp.schema.errors import UserError
from tests.cli.searches import Calculator, Values, quadratic, searched
from tests.tiers import tiered

LOWEST = "sweep.objective.direction=minimize"
SMALL = ("x=interval(0,10)", "k=a,b", "seed=0,1", LOWEST, "hydra.sweeper.trials=6",
         "+hydra.sweeper.sampler_kwargs.n_startup_trials=2")  # fmt: skip
# Methods with which Optuna writes to the storage.
WRITES = (
    "create_new_study",
    "set_study_user_attr",
    "_create_new_trial",
    "_set_trial_param",
    "set_trial_state_values",
    "set_trial_user_attr",
    "set_trial_system_attr",
)


FOUR = (*SMALL, "hydra.sweeper.trials=4")
MANY = 10**6
Trials = list[tuple[Values, float | None, Sequence[float]]]


class KilledError(BaseException):
    """Stand-in for a kill."""


class Stopping(Calculator):
    """Trainer that is killed at the start of a trial, after the trials before it."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at = at

    def start(self, jobs: Sequence[Sequence[str]]) -> Sequence[int]:
        if len(self.calls) == self._at:
            raise KilledError
        return super().start(jobs)


def ended(url: str) -> Trials:
    """Return the values, the score and the scores per seed of the ended trials, in order."""
    (name,) = optuna.get_all_study_names(url)
    trials = optuna.load_study(study_name=name, storage=url).trials
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    return [(t.params, t.value, t.user_attrs["scores"]) for t in trials if "scores" in t.user_attrs]


def at(folder: Path) -> str:
    return f"hydra.sweeper.storage=sqlite:///{folder / 'studies.db'}"


def errors_of(folder: Path, *words: str, trainer: Calculator | None = None) -> list[str]:
    with pytest.raises(UserError) as caught:
        searched(folder, *words, trainer=trainer)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    folder = tmp_path_factory.mktemp("undisturbed")
    searched(folder, *SMALL, at(folder))
    return ended(f"sqlite:///{folder / 'studies.db'}")


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of writes until a search is killed, in a list of one."""
    left = [MANY]

    def failing(write: Callable[..., Any]) -> Callable[..., Any]:
        def method(*arguments: Any, **keywords: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
            return write(*arguments, **keywords)

        return method

    for name in WRITES:
        monkeypatch.setattr(RDBStorage, name, failing(getattr(RDBStorage, name)))
    return left


@pytest.mark.parametrize(
    ("sampler", "trial"),
    tiered(product(["tpe", "random", "grid"], [0, 1, 4]), lambda case: case in (("tpe", 1), ("grid", 4))),
)
def test_interrupted_trial_is_trained_again(tmp_path: Path, sampler: str, trial: int) -> None:
    words = ("x=range(0,30,step=5)", "k=a,b", "hydra.sweeper.trials=6", f"hydra.sweeper.sampler={sampler}")
    whole = searched(tmp_path / "whole", *words)
    stopped = Stopping(trial)
    with pytest.raises(KilledError):
        searched(tmp_path, *words, at(tmp_path), trainer=stopped)
    rest = searched(tmp_path, *words, at(tmp_path))
    assert [*stopped.calls, *rest.calls] == whole.calls


@pytest.mark.slow
def test_no_point_of_a_sequence_is_lost(tmp_path: Path) -> None:
    words = (*SMALL[:-1], "hydra.sweeper.sampler=qmc")
    stopped = Stopping(1)
    with pytest.raises(KilledError):
        searched(tmp_path, *words, at(tmp_path), trainer=stopped)
    rest = searched(tmp_path, *words, at(tmp_path))
    whole = searched(tmp_path / "whole", *words)
    assert [*stopped.calls, *rest.calls] == whole.calls


@pytest.mark.parametrize("write", [0, 11])  # the first, and one within the third trial
def test_search_killed_at_a_write_equals_an_uninterrupted_one(
    tmp_path: Path, undisturbed: Trials, writes: list[int], write: int
) -> None:
    RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")  # creates the tables, which takes longer than the search
    assert killed_at(write, writes, tmp_path)
    assert ended(f"sqlite:///{tmp_path / str(write) / 'studies.db'}") == undisturbed[:4]


@pytest.mark.slow
def test_search_killed_at_any_write_equals_an_uninterrupted_one(
    tmp_path: Path, undisturbed: Trials, writes: list[int]
) -> None:
    RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")  # creates the tables, which takes longer than the search
    assert killed_at_each(writes, tmp_path) >= 4 * 5  # writes per trial: creation, two values, scores, end
    for folder in tmp_path.glob("*/"):
        assert ended(f"sqlite:///{folder / 'studies.db'}") == undisturbed[:4], folder


@pytest.mark.slow
def test_search_killed_while_continuing_equals_another(tmp_path: Path, undisturbed: Trials, writes: list[int]) -> None:
    with pytest.raises(KilledError):
        searched(tmp_path, *FOUR, at(tmp_path), trainer=Stopping(1))
    assert killed_at_each(writes, tmp_path) >= 2 + 2 * 5  # two trials are marked as failed and repeated
    for folder in tmp_path.glob("*/"):
        assert ended(f"sqlite:///{folder / 'studies.db'}") == undisturbed[:4], folder


def killed_at_each(writes: list[int], origin: Path) -> int:
    """Continue copies of a study, each killed at another write, to the end. Return the number of writes."""
    return next(number for number in itertools.count() if not killed_at(number, writes, origin))


def killed_at(number: int, writes: list[int], origin: Path) -> bool:
    """Continue a copy of a study, killed at a write, to the end. Return whether there is such a write."""
    folder = origin / str(number)
    folder.mkdir()
    shutil.copy(origin / "studies.db", folder)
    writes[0] = number
    try:
        searched(folder, *FOUR, at(folder))
    except KilledError:
        writes[0] = MANY
        searched(folder, *FOUR, at(folder))
        return True
    return False


def test_search_that_is_killed_repeatedly_ends(tmp_path: Path, undisturbed: Trials) -> None:
    for trial in (0, 0, 1, 0):
        with pytest.raises(KilledError):
            searched(tmp_path, *SMALL, at(tmp_path), trainer=Stopping(trial))
    searched(tmp_path, *SMALL, at(tmp_path))
    assert ended(f"sqlite:///{tmp_path / 'studies.db'}") == undisturbed


def test_equal_command_is_complete_and_more_trials_continue(
    tmp_path: Path, undisturbed: Trials, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(tmp_path, *FOUR, at(tmp_path))
    capsys.readouterr()
    assert searched(tmp_path, *FOUR, at(tmp_path)).calls == []
    assert "\ntrial  final/return_mean" in capsys.readouterr().out
    assert len(searched(tmp_path, *SMALL, at(tmp_path)).calls) == 2
    assert ended(f"sqlite:///{tmp_path / 'studies.db'}") == undisturbed


def test_failed_trials_count_and_are_not_repeated(tmp_path: Path) -> None:
    searched(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.trials=2", trainer=Calculator(lambda _: None))
    assert len(searched(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.trials=3").calls) == 1


@pytest.mark.parametrize(
    "other",
    tiered(
        ["x=interval(0,11)", "seed=0,2", "budget.steps=5", "sweep.objective.metric=train/return_mean", "env=acrobot"],
        lambda other: other == "x=interval(0,11)",
    ),
)
def test_another_search_in_the_storage_is_another_study(tmp_path: Path, other: str) -> None:
    searched(tmp_path, *SMALL, at(tmp_path))
    assert len(searched(tmp_path, *SMALL, at(tmp_path), other).jobs) == 12


def test_settings_without_effect_keep_the_study(tmp_path: Path) -> None:
    searched(tmp_path, *SMALL, at(tmp_path))
    others = ("workers.processes=1", "tracking.max_points=7", "checkpoint.seconds=1", "sweep.fail_fast=true")
    assert searched(tmp_path, *SMALL, at(tmp_path), *others).calls == []


@pytest.mark.parametrize(
    ("other", "expected"),
    tiered(
        [
            (
                "sweep.objective.direction=maximize",
                "sweep.objective.direction: must be minimize (got maximize). ",
            ),
            ("seed=0,2", "seed: must be ['0', '1'] (got ['0', '2']). "),
            ("budget.steps=5", "budget.steps: must be 200000 (got 5). "),
            ("k=a,b,c", "k: must be CategoricalDistribution(choices=('a', 'b')); only the ends "),
            (
                "x=range(9)",
                "x: must be FloatDistribution(high=10.0, log=False, low=0.0, step=None); only the ends ",
            ),
            ("k=a", "k: must be searched. "),
            ("k=choice(a)", "k: must be none (got a). "),
            (
                "hydra.sweeper.sampler=grid",
                "hydra.sweeper.sampler: must be another than grid (got grid). ",
            ),
            ("y=1,2", "y: is new in the search. "),
        ],
        lambda case: case[0] in ("seed=0,2", "k=a,b,c"),
    ),
)
def test_named_study_of_another_search_is_refused(tmp_path: Path, other: str, expected: str) -> None:
    searched(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.study=mine")
    told = errors_of(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.study=mine", other)
    assert [text for text in told if text.startswith(expected)]
    assert all(text.endswith("or choose another hydra.sweeper.study") for text in told)


def test_interval_of_a_named_study_can_change(tmp_path: Path) -> None:
    words = (*SMALL, at(tmp_path), "hydra.sweeper.study=mine")
    searched(tmp_path, *words)
    moved = searched(tmp_path, *words, "x=interval(10,20)", "hydra.sweeper.trials=8")
    assert len(moved.jobs) == 4
    assert all(10 <= job["x"] <= 20 for job in moved.jobs)


def test_interrupted_trial_is_dropped_if_the_interval_changed(tmp_path: Path) -> None:
    words = (*SMALL, at(tmp_path), "hydra.sweeper.study=mine")
    with pytest.raises(KilledError):
        searched(tmp_path, *words, trainer=Stopping(0))
    moved = searched(tmp_path, *words, "x=interval(10,20)")
    assert all(10 <= job["x"] <= 20 for job in moved.jobs)


def test_study_of_another_program_is_refused(tmp_path: Path) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'studies.db'}", study_name="mine")
    study.add_trial(optuna.create_trial(value=1.0))
    assert errors_of(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.study=mine") == [
        "hydra.sweeper.study: mine was not created by pgexp. Choose another name"
    ]


def test_refused_job_leaves_a_study_only_with_ended_trials(tmp_path: Path) -> None:
    def refuse(values: Values) -> float:
        if len(trainer.jobs) > 4:
            raise UserError([])
        return quadratic(values)

    url = f"sqlite:///{tmp_path / 'studies.db'}"
    trainer = Calculator(refuse)
    trainer.calls.append([{}] * 4)
    errors_of(tmp_path, *SMALL, at(tmp_path), trainer=trainer)
    assert optuna.get_all_study_names(url) == []
    trainer = Calculator(refuse)
    errors_of(tmp_path, *SMALL, at(tmp_path), trainer=trainer)
    assert len(optuna.get_all_study_names(url)) == 1


def test_path_is_an_sqlite_file(tmp_path: Path) -> None:
    searched(tmp_path, *SMALL, f"hydra.sweeper.storage={tmp_path / 'studies.db'}")
    assert searched(tmp_path, *SMALL, at(tmp_path)).calls == []


def test_storage_in_use_is_refused(tmp_path: Path) -> None:
    with lock(tmp_path / "studies.db.lock"):
        (told,) = errors_of(tmp_path, *SMALL, at(tmp_path))
    assert told.startswith(f"hydra.sweeper.storage: {tmp_path} is in use by process ")
    assert told.endswith(", which searches there. Wait for it, or choose another storage")


def test_secrets_are_not_in_the_study(tmp_path: Path) -> None:
    searched(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.trials=1", "++env.kwargs.token=swordfish")
    assert b"swordfish" not in (tmp_path / "studies.db").read_bytes()
