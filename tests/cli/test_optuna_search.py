"""A search over a closed form: which runs are trained, what Optuna is told, and what is printed."""

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from optuna.trial import TrialState

from pgexp.schema.errors import ConfigError, Problem
from tests.cli.searches import Calculator, Values, first_trial, quadratic, read, searched, study_of
from tests.tiers import tiered

LOWEST = "sweep.objective.direction=minimize"
X = "x=interval(0,10)"


def of(search: Calculator, key: str = "x") -> list[object]:
    return [job[key] for job in search.jobs]


def failing(*numbers: int) -> Calculator:
    """Return a trainer, the runs of which with such numbers fail."""
    count = iter(range(10**6))
    return Calculator(lambda values: None if next(count) in numbers else quadratic(values))


def refusal(folder: Path, *words: str) -> Sequence[str]:
    with pytest.raises(ConfigError) as caught:
        searched(folder, X, *words)
    return [str(problem) for problem in caught.value.problems]


def test_trials_are_asked_for_one_by_one(tmp_path: Path) -> None:
    search = searched(tmp_path, X, "seed=0,1", "hydra.sweeper.trials=3")
    assert [len(call) for call in search.calls] == [2, 2, 2]
    assert search.expected == 6


@pytest.mark.parametrize(("places", "together"), [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_a_trial_is_asked_for_when_fewer_runs_wait_or_train_than_there_are_places(
    tmp_path: Path, places: int, together: int
) -> None:
    """Trials of two runs: three places are filled by two trials, before any of them has ended."""

    class Watched(Calculator):
        def advance(self) -> Mapping[int, float | None]:
            started.append(len(self.calls))
            return super().advance()

    started: list[int] = []
    searched(tmp_path, X, "seed=0,1", "hydra.sweeper.trials=6", trainer=Watched(places=places))
    assert started[0] == together


def test_the_slowest_run_holds_up_no_other_trial(tmp_path: Path) -> None:
    """With two places, the second trial's runs and all after it end while the first trial's run trains."""

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
def test_there_are_forty_trials_by_default(tmp_path: Path) -> None:
    assert len(searched(tmp_path, "x=range(100)", "hydra.sweeper.sampler=random").calls) == 40


def test_each_trial_runs_on_each_seed_and_its_value_is_their_mean(tmp_path: Path) -> None:
    search = searched(tmp_path, X, "seed=range(3)", "hydra.sweeper.trials=4", keep=True)
    assert of(search, "seed") == [0, 1, 2] * 4
    trials = study_of(tmp_path).trials
    assert of(search) == [trial.params["x"] for trial in trials for _ in range(3)]
    for trial in trials:
        assert trial.value == pytest.approx((trial.params["x"] - 3) ** 2 + (0 + 1 + 2) / 3)


def test_jobs_have_what_was_set_beside_the_search(tmp_path: Path) -> None:
    search = searched(tmp_path, X, "budget.steps=300", "y=a,b", "hydra.sweeper.trials=5", "env=acrobot")
    assert {(job["budget.steps"], job["env"]) for job in search.jobs} == {(300, "acrobot")}
    assert set(of(search, "y")) == {"a", "b"}
    assert all(job.keys() == {"budget.steps", "env", "x", "y"} for job in search.jobs)


@pytest.mark.parametrize(("direction", "best"), [("minimize", 3.0), ("maximize", 10.0)])
def test_the_best_is_the_least_or_the_greatest_as_the_objective_says(
    tmp_path: Path, direction: str, best: float
) -> None:
    words = ("x=range(0.0,10.5,0.5)", f"sweep.objective.direction={direction}", "hydra.sweeper.sampler=grid")
    searched(tmp_path, *words)
    found = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert found == {"name": "optuna", "best_params": {"x": best}, "best_value": (best - 3) ** 2}


@pytest.mark.slow
def test_tpe_comes_nearer_than_chance(tmp_path: Path) -> None:
    words = (X, LOWEST, "hydra.sweeper.trials=40")
    found = {}
    for sampler in ("tpe", "random"):
        search = searched(tmp_path / sampler, *words, f"hydra.sweeper.sampler={sampler}")
        found[sampler] = sum(quadratic(job) for job in search.jobs[20:]) / 20
    assert found["tpe"] < found["random"] / 2  # the latter's expectation is 10 ** 2 / 12 + (5 - 3) ** 2


@pytest.mark.parametrize(
    "sampler", tiered(["tpe", "random", "gp", "qmc", "cmaes"], lambda name: name in ("tpe", "cmaes"))
)
def test_every_sampler_searches_numbers_and_choices_and_trials_that_train_at_once_differ(
    tmp_path: Path, sampler: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = (X, "n=range(1,9)", "k=a,b", LOWEST, f"hydra.sweeper.sampler={sampler}", "hydra.sweeper.trials=18")
    search = searched(tmp_path, *words, trainer=Calculator(places=6))
    assert all(0 <= job["x"] <= 10 and job["n"] in range(1, 9) and job["k"] in ("a", "b") for job in search.jobs)
    assert len({job["x"] for job in search.jobs}) == 18
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("sampler", tiered(["tpe", "random", "gp", "qmc"], lambda name: name == "random"))
def test_an_equal_seed_suggests_the_same_again_and_another_does_not(tmp_path: Path, sampler: str) -> None:
    words = (X, "k=a,b", f"hydra.sweeper.sampler={sampler}", "hydra.sweeper.trials=14")
    runs = [searched(tmp_path / name, *words, f"hydra.sweeper.seed={name}") for name in ("5", "6")]
    assert searched(tmp_path / "again", *words, "hydra.sweeper.seed=5").calls == runs[0].calls
    assert runs[1].calls != runs[0].calls


def test_a_grid_is_every_point_once(tmp_path: Path) -> None:
    search = searched(tmp_path, "x=range(3)", "k=a,b", "hydra.sweeper.sampler=grid")
    assert [(job["x"], job["k"]) for job in search.jobs] == [(x, k) for x in range(3) for k in "ab"]


def test_a_grid_ends_with_the_trials_that_are_wanted(tmp_path: Path) -> None:
    search = searched(tmp_path, "x=range(9)", "hydra.sweeper.sampler=grid", "hydra.sweeper.trials=5")
    assert of(search) == [0, 1, 2, 3, 4]


def test_where_nothing_is_searched_there_is_one_trial(tmp_path: Path) -> None:
    search = searched(tmp_path, "x=5.0", "seed=range(3)")
    assert search.calls == [[{"x": 5.0, "seed": seed} for seed in range(3)]]


def test_a_trial_of_which_a_run_failed_has_failed_and_the_search_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    """Refuses trials whose x is in a set, as values that do not go together are."""

    def __init__(self, *refused: int) -> None:
        super().__init__()
        self.refused = refused

    def start(self, jobs: Sequence[Sequence[str]]) -> Sequence[int]:
        if read(jobs[0])["x"] in self.refused:
            raise ConfigError([Problem("x", "does not go with y")])
        return super().start(jobs)


def test_a_trial_that_is_refused_has_failed_and_the_search_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("x=1,2,3", "seed=0,1", "hydra.sweeper.sampler=grid")
    searched(tmp_path, *words, trainer=Refusing(1, 3), keep=True)
    states = [trial.state for trial in study_of(tmp_path).trials]
    assert states == [TrialState.FAIL, TrialState.COMPLETE, TrialState.FAIL]
    assert "trial 2 cannot be trained: x: does not go with y" in capsys.readouterr().out.splitlines()


def test_a_search_of_which_every_trial_is_refused_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not go with y"):
        searched(tmp_path, "x=1,2", "hydra.sweeper.sampler=grid", trainer=Refusing(1, 2))


class Evaluated(Calculator):
    """Has evaluations, bad ones from the sixth trial on. A pruned run ends without a score if it `stops`."""

    def __init__(self, stops: bool) -> None:
        super().__init__()
        self.stops = stops

    def evaluations(self, run: int) -> Mapping[int, float] | None:
        return {1: 100.0 if run < 5 else -100.0}

    def advance(self) -> Mapping[int, float | None]:
        ended = super().advance()
        return {run: None if self.stops and run in self.pruned else score for run, score in ended.items()}


@pytest.mark.parametrize(("stops", "state"), [(True, TrialState.PRUNED), (False, TrialState.COMPLETE)])
def test_a_trial_is_pruned_unless_its_runs_ended_before_they_could_be_stopped(
    tmp_path: Path, stops: bool, state: TrialState
) -> None:
    trainer = Evaluated(stops)
    searched(tmp_path, X, "hydra.sweeper.trials=6", "sweep.pruner=median", trainer=trainer, keep=True)
    assert trainer.pruned == [5]
    assert [trial.state for trial in study_of(tmp_path).trials] == [TrialState.COMPLETE] * 5 + [state]


@pytest.mark.parametrize("score", tiered([math.nan, math.inf, -math.inf], math.isnan))
def test_a_score_that_is_no_number_is_a_failure(tmp_path: Path, score: float) -> None:
    searched(tmp_path, X, "hydra.sweeper.trials=2", trainer=Calculator(lambda _: score), keep=True)
    assert [trial.state for trial in study_of(tmp_path).trials] == [TrialState.FAIL] * 2


def test_where_every_trial_failed_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    searched(tmp_path, X, "hydra.sweeper.trials=2", trainer=Calculator(lambda _: None))
    assert (
        capsys.readouterr().out.splitlines()[-1]
        == "No trial has a value: in each of them a run failed, or it was pruned."
    )
    assert not (tmp_path / "optimization_results.yaml").exists()


def test_the_end_tells_the_best_how_far_to_trust_it_and_how_to_know_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("x=range(3)", "k=[a],[b]", "seed=range(3)", "hydra.sweeper.sampler=grid", LOWEST, "budget.steps=50")
    searched(tmp_path, *words)
    lines = capsys.readouterr().out.splitlines()
    table = [line.split() for line in lines[-8:-2]]
    assert table[0] == ["trial", "final/return_mean", "runs", "x", "k"]
    assert table[1] == ["4", "2.000", "3", "2", "[a]"]  # (2 - 3) ** 2 and the seeds' mean of 1
    assert len(table) == 1 + 5
    # The seeds 0, 1, 2 deviate by 1; the largest of 6 is 1.267 on average (Harter, 1961); 1.267 / sqrt 3 = .732.
    assert lines[-2] == (
        "The best value is of the seeds that it was chosen by, and overstated, by up to 0.732 "
        "where the 6 trials are alike. What it is worth, fresh seeds tell:"
    )
    assert lines[-1] == f"  pgexp -m {LOWEST} budget.steps=50 x=2 'k=[a]' 'seed=range(100,110)'"


def test_one_seed_tells_no_size_of_the_bias_and_fresh_seeds_are_fresh(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(tmp_path, X, "seed=104", "hydra.sweeper.trials=2")
    lines = capsys.readouterr().out.splitlines()
    assert "overstated. What" in lines[-2]
    assert lines[-1].endswith("'seed=range(105,115)'")


def test_the_place_of_the_study_is_told_first_and_its_password_never(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(tmp_path, X, "hydra.sweeper.trials=1", keep=True)
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("study   pgexp-")
    assert first.endswith(f"the same command continues it with hydra.sweeper.storage={tmp_path}/study.db added")
    told = refusal(tmp_path, "hydra.sweeper.storage=mariner://me:swordfish@host/db")
    assert "swordfish" not in "".join(told)


def test_a_dry_run_asks_for_the_first_trial_and_keeps_nothing(tmp_path: Path) -> None:
    jobs, trials = first_trial(tmp_path, X, "seed=0,1", "hydra.sweeper.trials=7")
    assert ([*map(read, jobs)], trials) == (searched(tmp_path, X, "seed=0,1", "hydra.sweeper.trials=7").calls[0], 7)
    assert not (tmp_path / "study.db").exists()


def test_hydra_s_file_of_the_sweep_is_written(tmp_path: Path) -> None:
    searched(tmp_path, X, "hydra.sweeper.trials=1", "budget.steps=77")
    written = yaml.safe_load((tmp_path / "multirun.yaml").read_text())
    assert (written["budget"]["steps"], written["hydra"]["sweeper"]["trials"]) == (77, 1)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("hydra.sweeper.trials=0", "hydra.sweeper.trials: given 0; must be a whole number greater than 0"),
        ("hydra.sweeper.trials=many", "hydra.sweeper.trials: given 'many'; must be a whole number greater than 0"),
        ("hydra.sweeper.seed=-1", "hydra.sweeper.seed: given -1; must be a whole number at least 0"),
        (
            "hydra.sweeper.sampler=tpee",
            "hydra.sweeper.sampler: given 'tpee'; must be one of tpe, random, grid, gp, qmc, cmaes",
        ),
        (
            "+hydra.sweeper.params.a=[1,2]",
            "hydra.sweeper.params.a: given [1, 2]; must be a text as on the command line, "
            "as interval(0.9, 1) or none,value",
        ),
        (
            "+hydra.sweeper.sampler_kwargs.n_startup_trial=5",
            "hydra.sweeper.sampler_kwargs.n_startup_trial: unknown key (given 5). Did you mean 'n_startup_trials'? ",
        ),
        (
            "+hydra.sweeper.sampler_kwargs={group: true, multivariate: false}",
            "hydra.sweeper.sampler_kwargs: TPESampler refuses them: ``group`` option can only be enabled",
        ),
        (
            "hydra.sweeper.storage=mariner://host/db",
            "hydra.sweeper.storage: given mariner://host/db; can't be opened (Can't load plugin: ",
        ),
        (
            "hydra.sweeper.storage=sqlite:////no/such/folder/study.db",
            "hydra.sweeper.storage: given sqlite:////no/such/folder/study.db; can't be opened (",
        ),
    ],
)
def test_a_wrong_setting_is_told_and_nothing_is_launched(tmp_path: Path, word: str, said: str) -> None:
    (told,) = refusal(tmp_path, word)
    assert told.startswith(said)


def test_a_package_that_is_missing_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    assert refusal(tmp_path, "hydra.sweeper.sampler=cmaes") == [
        "hydra.sweeper.sampler: given cmaes; needs the package of that name: pip install 'pgexp[optuna]'"
    ]
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert refusal(tmp_path) == [
        "hydra/sweeper: given optuna; needs the package of that name: pip install 'pgexp[optuna]'"
    ]


@pytest.mark.slow
def test_a_sampler_is_given_its_arguments(tmp_path: Path) -> None:
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
