"""Searches over a closed form: runs, trials and output."""

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from optuna.trial import TrialState

from pgexp.schema.errors import UserError
from tests.cli.searches import Calculator, Values, first_trial, quadratic, read, searched, study_of
from tests.tiers import tiered

LOWEST = "sweep.objective.direction=minimize"
X = "x=interval(0,10)"


def of(search: Calculator, key: str = "x") -> list[object]:
    return [job[key] for job in search.jobs]


def failing(*numbers: int) -> Calculator:
    """Return a trainer whose runs with these numbers fail."""
    count = iter(range(10**6))
    return Calculator(lambda values: None if next(count) in numbers else quadratic(values))


def errors_of(folder: Path, *words: str) -> Sequence[str]:
    with pytest.raises(UserError) as caught:
        searched(folder, X, *words)
    return [str(problem) for problem in caught.value.problems]


def test_trials_are_asked_one_by_one(tmp_path: Path) -> None:
    search = searched(tmp_path, X, "seed=0,1", "hydra.sweeper.trials=3")
    assert [len(call) for call in search.calls] == [2, 2, 2]
    assert search.expected == 6


@pytest.mark.parametrize(("places", "together"), [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_next_trial_starts_when_a_worker_is_free(tmp_path: Path, places: int, together: int) -> None:
    """Two trials of two runs fill three places before any run has ended."""

    class Watched(Calculator):
        def advance(self) -> Mapping[int, float | None]:
            started.append(len(self.calls))
            return super().advance()

    started: list[int] = []
    searched(tmp_path, X, "seed=0,1", "hydra.sweeper.trials=6", trainer=Watched(places=places))
    assert started[0] == together


def test_slow_run_does_not_delay_other_trials(tmp_path: Path) -> None:
    """With two places, later trials end while the first trial's run trains."""

    class Slow(Calculator):
        def advance(self) -> Mapping[int, float | None]:
            if self._waiting[0] == 0 and len(self._waiting) > 1:
                self._waiting.append(self._waiting.pop(0))
            return super().advance()

    searched(tmp_path, X, "hydra.sweeper.trials=5", trainer=Slow(places=2), keep=True)
    trials = study_of(tmp_path).trials
    ends = [trial.datetime_complete for trial in trials]
    assert ends.index(max(ends)) == 0
    assert all(trial.state == TrialState.COMPLETE for trial in trials)


@pytest.mark.slow
def test_default_number_of_trials(tmp_path: Path) -> None:
    assert len(searched(tmp_path, "x=range(100)", "hydra.sweeper.sampler=random").calls) == 40


def test_value_of_a_trial_is_the_mean_over_seeds(tmp_path: Path) -> None:
    search = searched(tmp_path, X, "seed=range(3)", "hydra.sweeper.trials=4", keep=True)
    assert of(search, "seed") == [0, 1, 2] * 4
    trials = study_of(tmp_path).trials
    assert of(search) == [trial.params["x"] for trial in trials for _ in range(3)]
    for trial in trials:
        assert trial.value == pytest.approx((trial.params["x"] - 3) ** 2 + (0 + 1 + 2) / 3)


def test_jobs_have_the_fixed_overrides(tmp_path: Path) -> None:
    search = searched(tmp_path, X, "budget.steps=300", "y=a,b", "hydra.sweeper.trials=5", "env=acrobot")
    assert {(job["budget.steps"], job["env"]) for job in search.jobs} == {(300, "acrobot")}
    assert set(of(search, "y")) == {"a", "b"}
    assert all(job.keys() == {"budget.steps", "env", "x", "y"} for job in search.jobs)


@pytest.mark.parametrize(("direction", "best"), [("minimize", 3.0), ("maximize", 10.0)])
def test_best_trial_by_direction(tmp_path: Path, direction: str, best: float) -> None:
    words = ("x=range(0.0,10.5,0.5)", f"sweep.objective.direction={direction}", "hydra.sweeper.sampler=grid")
    searched(tmp_path, *words)
    found = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert found == {"name": "optuna", "best_params": {"x": best}, "best_value": (best - 3) ** 2}


@pytest.mark.slow
def test_tpe_is_better_than_random(tmp_path: Path) -> None:
    words = (X, LOWEST, "hydra.sweeper.trials=40")
    found = {}
    for sampler in ("tpe", "random"):
        search = searched(tmp_path / sampler, *words, f"hydra.sweeper.sampler={sampler}")
        found[sampler] = sum(quadratic(job) for job in search.jobs[20:]) / 20
    assert found["tpe"] < found["random"] / 2  # the expectation of random search is 10 ** 2 / 12 + (5 - 3) ** 2


@pytest.mark.parametrize(
    "sampler", tiered(["tpe", "random", "gp", "qmc", "cmaes"], lambda name: name in ("tpe", "cmaes"))
)
def test_samplers_give_different_concurrent_trials(
    tmp_path: Path, sampler: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = (X, "n=range(1,9)", "k=a,b", LOWEST, f"hydra.sweeper.sampler={sampler}", "hydra.sweeper.trials=18")
    search = searched(tmp_path, *words, trainer=Calculator(places=6))
    assert all(0 <= job["x"] <= 10 and job["n"] in range(1, 9) and job["k"] in ("a", "b") for job in search.jobs)
    assert len({job["x"] for job in search.jobs}) == 18
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("sampler", tiered(["tpe", "random", "gp", "qmc"], lambda name: name == "random"))
def test_sampler_seed_determines_the_trials(tmp_path: Path, sampler: str) -> None:
    words = (X, "k=a,b", f"hydra.sweeper.sampler={sampler}", "hydra.sweeper.trials=14")
    runs = [searched(tmp_path / name, *words, f"hydra.sweeper.seed={name}") for name in ("5", "6")]
    assert searched(tmp_path / "again", *words, "hydra.sweeper.seed=5").calls == runs[0].calls
    assert runs[1].calls != runs[0].calls


def test_grid_search_has_every_point_once(tmp_path: Path) -> None:
    search = searched(tmp_path, "x=range(3)", "k=a,b", "hydra.sweeper.sampler=grid")
    assert [(job["x"], job["k"]) for job in search.jobs] == [(x, k) for x in range(3) for k in "ab"]


def test_grid_search_ends_at_the_number_of_trials(tmp_path: Path) -> None:
    search = searched(tmp_path, "x=range(9)", "hydra.sweeper.sampler=grid", "hydra.sweeper.trials=5")
    assert of(search) == [0, 1, 2, 3, 4]


def test_one_trial_without_searched_keys(tmp_path: Path) -> None:
    search = searched(tmp_path, "x=5.0", "seed=range(3)")
    assert search.calls == [[{"x": 5.0, "seed": seed} for seed in range(3)]]


def test_failed_run_fails_its_trial_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = failing(3)  # the second seed of the second trial
    searched(tmp_path, X, "seed=0,1", "hydra.sweeper.trials=4", trainer=trainer, keep=True)
    states = [trial.state for trial in study_of(tmp_path).trials]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("search ")]
    assert [line.partition(";")[0] for line in lines] == [
        "search  1 of 4 trials done",
        "search  2 of 4 trials done, 1 failed",
        "search  3 of 4 trials done, 1 failed",
        "search  4 of 4 trials done, 1 failed",
    ]


class Refusing(Calculator):
    """Trainer that refuses trials whose x is in a set."""

    def __init__(self, *refused: int) -> None:
        super().__init__()
        self.refused = refused

    def start(self, jobs: Sequence[Sequence[str]]) -> Sequence[int]:
        if read(jobs[0])["x"] in self.refused:
            raise UserError.at("x", "does not go with y")
        return super().start(jobs)


def test_refused_trial_fails_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("x=1,2,3", "seed=0,1", "hydra.sweeper.sampler=grid")
    searched(tmp_path, *words, trainer=Refusing(1, 3), keep=True)
    states = [trial.state for trial in study_of(tmp_path).trials]
    assert states == [TrialState.FAIL, TrialState.COMPLETE, TrialState.FAIL]
    assert "trial 2 cannot be trained: x: does not go with y" in capsys.readouterr().out.splitlines()


def test_search_with_only_refused_trials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not go with y"):
        searched(tmp_path, "x=1,2", "hydra.sweeper.sampler=grid", trainer=Refusing(1, 2))


class Evaluated(Calculator):
    """Trainer with evaluations, which are bad from the sixth trial on. A pruned run has no score if it `stops`."""

    def __init__(self, stops: bool) -> None:
        super().__init__()
        self.stops = stops

    def evaluations(self, run: int) -> Mapping[int, float] | None:
        return {1: 100.0 if run < 5 else -100.0}

    def advance(self) -> Mapping[int, float | None]:
        ended = super().advance()
        return {run: None if self.stops and run in self.pruned else score for run, score in ended.items()}


@pytest.mark.parametrize(("stops", "state"), [(True, TrialState.PRUNED), (False, TrialState.COMPLETE)])
def test_trial_is_pruned_unless_its_runs_have_ended(tmp_path: Path, stops: bool, state: TrialState) -> None:
    trainer = Evaluated(stops)
    searched(tmp_path, X, "hydra.sweeper.trials=6", "sweep.pruner=median", trainer=trainer, keep=True)
    assert trainer.pruned == [5]
    assert [trial.state for trial in study_of(tmp_path).trials] == [TrialState.COMPLETE] * 5 + [state]


@pytest.mark.parametrize("score", tiered([math.nan, math.inf, -math.inf], math.isnan))
def test_non_finite_score_is_a_failure(tmp_path: Path, score: float) -> None:
    searched(tmp_path, X, "hydra.sweeper.trials=2", trainer=Calculator(lambda _: score), keep=True)
    assert [trial.state for trial in study_of(tmp_path).trials] == [TrialState.FAIL] * 2


def test_search_without_a_value_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    searched(tmp_path, X, "hydra.sweeper.trials=2", trainer=Calculator(lambda _: None))
    assert capsys.readouterr().out.splitlines()[-1] == "No trial has a value, because each one failed or was pruned."
    assert not (tmp_path / "optimization_results.yaml").exists()


def test_end_prints_best_trials_bias_and_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("x=range(3)", "k=[a],[b]", "seed=range(3)", "hydra.sweeper.sampler=grid", LOWEST, "budget.steps=50")
    searched(tmp_path, *words)
    lines = capsys.readouterr().out.splitlines()
    table = [line.split() for line in lines[-8:-2]]
    assert table[0] == ["trial", "final/return_mean", "runs", "x", "k"]
    assert table[1] == ["4", "2.000", "3", "2", "[a]"]  # (2 - 3) ** 2 and the seeds' mean of 1
    assert len(table) == 1 + 5
    # The seeds 0, 1, 2 deviate by 1; the largest of 6 is 1.267 on average (Harter, 1961); 1.267 / sqrt 3 = .732.
    assert ", by up to 0.732 if the 6 trials are equally good" in lines[-2]
    assert lines[-1] == f"  pgexp -m {LOWEST} budget.steps=50 x=2 'k=[a]' 'seed=range(100,110)'"


def test_one_seed_has_no_bias_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    searched(tmp_path, X, "seed=104", "hydra.sweeper.trials=2")
    lines = capsys.readouterr().out.splitlines()
    assert "so it is too high. Fresh" in lines[-2]
    assert lines[-1].endswith("'seed=range(105,115)'")


def test_storage_is_printed_without_its_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    searched(tmp_path, X, "hydra.sweeper.trials=1", keep=True)
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("study   pgexp-")
    assert first.endswith(f"repeat the command with hydra.sweeper.storage={tmp_path}/study.db")
    told = errors_of(tmp_path, "hydra.sweeper.storage=mariner://me:swordfish@host/db")
    assert "swordfish" not in "".join(told)


def test_dry_run_asks_for_the_first_trial_only(tmp_path: Path) -> None:
    jobs, trials = first_trial(tmp_path, X, "seed=0,1", "hydra.sweeper.trials=7")
    assert ([*map(read, jobs)], trials) == (searched(tmp_path, X, "seed=0,1", "hydra.sweeper.trials=7").calls[0], 7)
    assert not (tmp_path / "study.db").exists()


def test_multirun_yaml_is_written(tmp_path: Path) -> None:
    searched(tmp_path, X, "hydra.sweeper.trials=1", "budget.steps=77")
    written = yaml.safe_load((tmp_path / "multirun.yaml").read_text())
    assert (written["budget"]["steps"], written["hydra"]["sweeper"]["trials"]) == (77, 1)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("hydra.sweeper.trials=0", "hydra.sweeper.trials: must be a whole number greater than 0 (got 0)"),
        ("hydra.sweeper.trials=many", "hydra.sweeper.trials: must be a whole number greater than 0 (got 'many')"),
        ("hydra.sweeper.seed=-1", "hydra.sweeper.seed: must be a whole number at least 0 (got -1)"),
        (
            "hydra.sweeper.sampler=tpee",
            "hydra.sweeper.sampler: must be one of tpe, random, grid, gp, qmc, cmaes (got 'tpee')",
        ),
        (
            "+hydra.sweeper.params.a=[1,2]",
            "hydra.sweeper.params.a: must be a string as on the command line",
        ),
        (
            "+hydra.sweeper.sampler_kwargs.n_startup_trial=5",
            "hydra.sweeper.sampler_kwargs.n_startup_trial: unknown key (got 5). Did you mean 'n_startup_trials'? ",
        ),
        (
            "+hydra.sweeper.sampler_kwargs={group: true, multivariate: false}",
            "hydra.sweeper.sampler_kwargs: TPESampler refuses them: ``group`` option can only be enabled",
        ),
        (
            "hydra.sweeper.storage=mariner://host/db",
            "hydra.sweeper.storage: cannot be opened: Can't load plugin: ",
        ),
        (
            "hydra.sweeper.storage=sqlite:////no/such/folder/study.db",
            "hydra.sweeper.storage: cannot be opened: ",
        ),
    ],
)
def test_wrong_settings(tmp_path: Path, word: str, said: str) -> None:
    (told,) = errors_of(tmp_path, word)
    assert told.startswith(said)


def test_missing_package_is_reported_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    (error,) = errors_of(tmp_path, "hydra.sweeper.sampler=cmaes")
    assert error.startswith("hydra.sweeper.sampler: needs the package cmaes")
    assert "pip install 'pgexp[optuna]'" in error
    monkeypatch.setitem(sys.modules, "optuna", None)
    (error,) = errors_of(tmp_path)
    assert error.startswith("hydra/sweeper: needs the package optuna")


@pytest.mark.slow
def test_sampler_gets_its_arguments(tmp_path: Path) -> None:
    def far(values: Values) -> float:
        return abs(values["x"] - 3)

    words = (X, LOWEST, "hydra.sweeper.trials=12")
    runs = [
        searched(tmp_path / str(n), *words, f"+hydra.sweeper.sampler_kwargs.n_startup_trials={n}",
                 trainer=Calculator(far))
        for n in (2, 12)
    ]  # fmt: skip
    assert of(runs[0])[:2] == of(runs[1])[:2]
    assert not set(of(runs[0])[2:]) & set(of(runs[1])[2:])
