"""A search that is stopped anywhere and called again is the one that was not stopped."""

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

from pgexp.schema.errors import ConfigError
from pgexp.storage.locking import held
from tests.cli.searches import Calculator, Values, quadratic, searched
from tests.tiers import tiered

LOWEST = "sweep.objective.direction=minimize"
SMALL = ("x=interval(0,10)", "k=a,b", "seed=0,1", LOWEST, "hydra.sweeper.trials=6",
         "+hydra.sweeper.sampler_kwargs.n_startup_trials=2")  # fmt: skip
# What Optuna writes with, in the storage below its cache.
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
    """What a kill is to the search: it ends there and then."""


class Stopping(Calculator):
    """Is killed when it is to train its trial of that number; the trials before it have ended."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at = at

    def start(self, jobs: Sequence[Sequence[str]]) -> Sequence[int]:
        if len(self.calls) == self._at:
            raise KilledError
        return super().start(jobs)


def ended(url: str) -> Trials:
    """Return what the trials that came to an end had, came to, and came to on each seed, in order."""
    (name,) = optuna.get_all_study_names(url)
    trials = optuna.load_study(study_name=name, storage=url).trials
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    return [(t.params, t.value, t.user_attrs["scores"]) for t in trials if "scores" in t.user_attrs]


def at(folder: Path) -> str:
    return f"hydra.sweeper.storage=sqlite:///{folder / 'studies.db'}"


def refusal(folder: Path, *words: str, trainer: Calculator | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        searched(folder, *words, trainer=trainer)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    folder = tmp_path_factory.mktemp("undisturbed")
    searched(folder, *SMALL, at(folder))
    return ended(f"sqlite:///{folder / 'studies.db'}")


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many writes there may be until a search is killed, in a list of one."""
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
def test_a_trial_that_was_cut_off_is_trained_again(tmp_path: Path, sampler: str, trial: int) -> None:
    words = ("x=range(0,30,step=5)", "k=a,b", "hydra.sweeper.trials=6", f"hydra.sweeper.sampler={sampler}")
    whole = searched(tmp_path / "whole", *words)
    stopped = Stopping(trial)
    with pytest.raises(KilledError):
        searched(tmp_path, *words, at(tmp_path), trainer=stopped)
    rest = searched(tmp_path, *words, at(tmp_path))
    assert [*stopped.calls, *rest.calls] == whole.calls


@pytest.mark.slow
def test_a_sequence_s_points_are_not_lost(tmp_path: Path) -> None:
    words = (*SMALL[:-1], "hydra.sweeper.sampler=qmc")
    stopped = Stopping(1)
    with pytest.raises(KilledError):
        searched(tmp_path, *words, at(tmp_path), trainer=stopped)
    rest = searched(tmp_path, *words, at(tmp_path))
    whole = searched(tmp_path / "whole", *words)
    assert [*stopped.calls, *rest.calls] == whole.calls


@pytest.mark.parametrize("write", [0, 11])  # the first, and one within the third trial
def test_a_search_that_is_killed_at_a_write_and_called_again_ends_as_undisturbed(
    tmp_path: Path, undisturbed: Trials, writes: list[int], write: int
) -> None:
    RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")  # the tables, which take longer than the search
    assert killed_at(write, writes, tmp_path)
    assert ended(f"sqlite:///{tmp_path / str(write) / 'studies.db'}") == undisturbed[:4]


@pytest.mark.slow
def test_a_search_that_is_killed_at_any_write_and_called_again_ends_as_undisturbed(
    tmp_path: Path, undisturbed: Trials, writes: list[int]
) -> None:
    RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")  # the tables, which take longer than the search
    assert killed_at_each(writes, tmp_path) >= 4 * 5  # a trial is made, has two values, its scores, and an end
    for folder in tmp_path.glob("*/"):
        assert ended(f"sqlite:///{folder / 'studies.db'}") == undisturbed[:4], folder


@pytest.mark.slow
def test_a_search_that_is_killed_while_it_goes_on_ends_as_undisturbed(
    tmp_path: Path, undisturbed: Trials, writes: list[int]
) -> None:
    with pytest.raises(KilledError):
        searched(tmp_path, *FOUR, at(tmp_path), trainer=Stopping(1))
    assert killed_at_each(writes, tmp_path) >= 2 + 2 * 5  # two trials are marked as failed, and run again
    for folder in tmp_path.glob("*/"):
        assert ended(f"sqlite:///{folder / 'studies.db'}") == undisturbed[:4], folder


def killed_at_each(writes: list[int], origin: Path) -> int:
    """Go on with copies of a study, each killed at another write, and again to the end. Return how many there are."""
    return next(number for number in itertools.count() if not killed_at(number, writes, origin))


def killed_at(number: int, writes: list[int], origin: Path) -> bool:
    """Resume a copy of a study, killed at a write, and again to the end. Return whether there is such a write."""
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


def test_a_search_that_is_killed_again_and_again_comes_to_its_end(tmp_path: Path, undisturbed: Trials) -> None:
    for trial in (0, 0, 1, 0):
        with pytest.raises(KilledError):
            searched(tmp_path, *SMALL, at(tmp_path), trainer=Stopping(trial))
    searched(tmp_path, *SMALL, at(tmp_path))
    assert ended(f"sqlite:///{tmp_path / 'studies.db'}") == undisturbed


def test_an_equal_command_has_nothing_left_to_do_and_more_trials_go_on(
    tmp_path: Path, undisturbed: Trials, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(tmp_path, *FOUR, at(tmp_path))
    capsys.readouterr()
    assert searched(tmp_path, *FOUR, at(tmp_path)).calls == []
    assert "\ntrial  final/return_mean" in capsys.readouterr().out
    assert len(searched(tmp_path, *SMALL, at(tmp_path)).calls) == 2
    assert ended(f"sqlite:///{tmp_path / 'studies.db'}") == undisturbed


def test_failed_trials_count_and_are_not_run_again(tmp_path: Path) -> None:
    searched(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.trials=2", trainer=Calculator(lambda _: None))
    assert len(searched(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.trials=3").calls) == 1


@pytest.mark.parametrize(
    "other",
    tiered(
        ["x=interval(0,11)", "seed=0,2", "budget.steps=5", "sweep.objective.metric=train/return_mean", "env=acrobot"],
        lambda other: other == "x=interval(0,11)",
    ),
)
def test_another_search_in_the_same_storage_is_another_study(tmp_path: Path, other: str) -> None:
    searched(tmp_path, *SMALL, at(tmp_path))
    assert len(searched(tmp_path, *SMALL, at(tmp_path), other).jobs) == 12


def test_what_decides_no_number_makes_no_other_study(tmp_path: Path) -> None:
    searched(tmp_path, *SMALL, at(tmp_path))
    others = ("workers.processes=1", "tracking.points=7", "checkpoint.seconds=1", "sweep.fail_fast=true")
    assert searched(tmp_path, *SMALL, at(tmp_path), *others).calls == []


@pytest.mark.parametrize(
    ("other", "said"),
    tiered(
        [
            (
                "sweep.objective.direction=maximize",
                "sweep.objective.direction: the study mine has minimize, and this search maximize; ",
            ),
            ("seed=0,2", "seed: the study mine has ['0', '1'], and this search ['0', '2']; "),
            ("budget.steps=5", "budget.steps: the study mine has 200000, and this search 5; "),
            ("k=a,b,c", "k: the study has CategoricalDistribution(choices=('a', 'b')); only the ends "),
            (
                "x=range(9)",
                "x: the study has FloatDistribution(high=10.0, log=False, low=0.0, step=None); only the ends ",
            ),
            ("k=a", "k: is not searched here; "),
            ("k=choice(a)", "k: the study mine has none, and this search a; "),
            (
                "hydra.sweeper.sampler=grid",
                "hydra.sweeper.sampler: the study mine has another than grid, and this search grid; ",
            ),
            ("y=1,2", "y: is searched here, and not in the study; "),
        ],
        lambda case: case[0] in ("seed=0,2", "k=a,b,c"),
    ),
)
def test_a_named_study_of_another_search_is_refused(tmp_path: Path, other: str, said: str) -> None:
    searched(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.study=mine")
    told = refusal(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.study=mine", other)
    assert [text for text in told if text.startswith(said)]
    assert all(text.endswith("or choose another hydra.sweeper.study") for text in told)


def test_the_ends_of_an_interval_may_be_moved_in_a_named_study(tmp_path: Path) -> None:
    words = (*SMALL, at(tmp_path), "hydra.sweeper.study=mine")
    searched(tmp_path, *words)
    moved = searched(tmp_path, *words, "x=interval(10,20)", "hydra.sweeper.trials=8")
    assert len(moved.jobs) == 4
    assert all(10 <= job["x"] <= 20 for job in moved.jobs)


def test_what_was_cut_off_is_not_trained_where_the_interval_was_moved(tmp_path: Path) -> None:
    words = (*SMALL, at(tmp_path), "hydra.sweeper.study=mine")
    with pytest.raises(KilledError):
        searched(tmp_path, *words, trainer=Stopping(0))
    moved = searched(tmp_path, *words, "x=interval(10,20)")
    assert all(10 <= job["x"] <= 20 for job in moved.jobs)


def test_a_study_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'studies.db'}", study_name="mine")
    study.add_trial(optuna.create_trial(value=1.0))
    assert refusal(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.study=mine") == [
        "hydra.sweeper.study: mine was not made by pgexp; choose another name"
    ]


def test_a_refused_job_leaves_no_study_unless_something_was_told(tmp_path: Path) -> None:
    def refuse(values: Values) -> float:
        if len(trainer.jobs) > 4:
            raise ConfigError([])
        return quadratic(values)

    url = f"sqlite:///{tmp_path / 'studies.db'}"
    trainer = Calculator(refuse)
    trainer.calls.append([{}] * 4)
    refusal(tmp_path, *SMALL, at(tmp_path), trainer=trainer)
    assert optuna.get_all_study_names(url) == []
    trainer = Calculator(refuse)
    refusal(tmp_path, *SMALL, at(tmp_path), trainer=trainer)
    assert len(optuna.get_all_study_names(url)) == 1


def test_a_path_is_an_sqlite_file(tmp_path: Path) -> None:
    searched(tmp_path, *SMALL, f"hydra.sweeper.storage={tmp_path / 'studies.db'}")
    assert searched(tmp_path, *SMALL, at(tmp_path)).calls == []


def test_a_file_that_another_command_searches_in_is_refused(tmp_path: Path) -> None:
    with held(tmp_path / "studies.db.lock"):
        (told,) = refusal(tmp_path, *SMALL, at(tmp_path))
    assert told.startswith(f"hydra.sweeper.storage: {tmp_path} is in use by process ")
    assert told.endswith(", which searches there; wait for it, or choose another storage")


def test_secrets_stay_out_of_the_study(tmp_path: Path) -> None:
    searched(tmp_path, *SMALL, at(tmp_path), "hydra.sweeper.trials=1", "++env.kwargs.token=swordfish")
    assert b"swordfish" not in (tmp_path / "studies.db").read_bytes()
