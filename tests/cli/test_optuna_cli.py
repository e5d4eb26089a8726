"""Searches through the command: what they train, leave and say, and which mistakes they tell before they train."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.cli.conftest import SHORT, Done
from tests.cli.console import Answer, Server
from tests.cli.searches import study_of
from tests.tiers import tiered

RATES = ("optimizer.lr=tag(log, interval(1e-3, 1e-1))", "baseline=none,mean", "seed=1,2")
SEARCH = ("-m", "hydra/sweeper=optuna", *RATES, *SHORT)
FILE = """# @package _global_
defaults:
  - override /hydra/sweeper: optuna
hydra:
  sweeper:
    trials: 2
    params:
      optimizer.lr: tag(log, interval(0.001, 0.1))
      algorithm.gamma: RANGE
      seed: range(3)
"""

MISTAKES = {
    "optimizer.lr=interval(-1,1)": "optimizer.lr: given -1.0; must be a number greater than 0",
    "algorithm.gamma=interval(0.5,2)": "algorithm.gamma: given 2.0; must be a number at least 0 and at most 1",
    "optimizer.lrr=interval(1,2)": "optimizer.lrr: unknown key (given 'interval(1,2)'). Did you mean 'lr'? ",
    "optimizer.lr=interval(0.5,0.1)": "optimizer.lr: given interval(0.5,0.1); must go from a number to a larger one",
    "baseline=nine,none hydra.sweeper.trials=1": "baseline: given 'nine'; there is no such option. ",
    "+hydra.sweeper.params.algorithm.gamma='interval(0.5,1.001)' hydra.sweeper.trials=1": (
        "algorithm.gamma: given 1.001; must be a number at least 0 and at most 1"
    ),
    "network=mlp,linear network.widths=[8],[4]": "network.widths: unknown key ",
    "baseline=glob(z*)": "baseline: given glob(z*); no option matches; a sweep over nothing has no runs",
    "hydra.sweeper.sampler=gird": "hydra.sweeper.sampler: given 'gird'; must be one of tpe, random, grid, ",
    "optimizer.lr=interval(1,2) hydra.sweeper.sampler=grid": "optimizer.lr: an interval has no grid: ",
    "hydra.sweeper.trial=3": "hydra.sweeper.trial: unknown key; pgexp --cfg hydra shows those that there are, ",
    "+hydra.sweeper.trial=3": "hydra.sweeper.trial: unknown key (given 3). Did you mean 'trials'? ",
    "sweep.objective.direction=up": "sweep.objective.direction: given 'up'; must be one of maximize, minimize",
}


@pytest.fixture(scope="module")
def found(workplace: Callable[[], Path], ready: Server) -> Done:
    """A search of three trials with two seeds each."""
    folder = workplace()
    return Done(folder, ready.run(folder, *SEARCH, "hydra.sweeper.trials=3"))


def final(job: Path) -> float:
    """Return a run's final score, from the table of its metrics."""
    table = pd.read_parquet(job / "metrics.parquet")
    return float(table["final/return_mean"].dropna().iloc[-1])


def said(answer: Answer, start: str) -> list[str]:
    return [line for line in answer.out.splitlines() if line.startswith(start)]


def test_a_search_ends_well_and_prints_each_trial_and_the_best(found: Done) -> None:
    assert (found.answer.code, found.answer.err) == (0, "")
    lines = said(found.answer, "search ")
    assert [line.partition(";")[0] for line in lines] == [f"search  {done} of 3 trials done" for done in (1, 2, 3)]
    assert "; best so far " in lines[-1]
    assert said(found.answer, "trial  final/return_mean  runs  optimizer.lr  baseline")


def test_a_trial_is_a_run_on_each_seed_and_its_value_their_mean(found: Done) -> None:
    trials = study_of(found.output).trials
    assert len(trials) == 3
    for trial in trials:
        jobs = [found.job(2 * trial.number + seed) for seed in (0, 1)]
        configs = [yaml.safe_load((job / ".hydra" / "config.yaml").read_text()) for job in jobs]
        assert [config["seed"] for config in configs] == [1, 2]
        assert {config["optimizer"]["lr"] for config in configs} == {trial.params["optimizer.lr"]}
        assert trial.value == pytest.approx(sum(map(final, jobs)) / 2)


def test_the_best_trial_is_written_where_scripts_look_for_it(found: Done) -> None:
    best = study_of(found.output).best_trial
    written = yaml.safe_load((found.output / "optimization_results.yaml").read_text())
    assert written == {"name": "optuna", "best_params": best.params, "best_value": best.value}


def test_its_runs_stand_in_one_sweep(found: Done) -> None:
    assert set(found.store.statuses.values()) == {"FINISHED"}
    assert [run.data.tags["pgexp.role"] for run in found.store.runs.values()].count("run") == 6


def test_its_runs_are_in_one_record(found: Done) -> None:
    runs = json.loads((found.output / "record.json").read_text())["runs"]
    assert sorted(run["folder"] for run in runs) == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.slow
def test_a_pruned_run_has_a_status_of_its_own_and_no_result(workplace: Callable[[], Path], ready: Server) -> None:
    """The learning rates 1e-9 learn nothing. The sixth trial is the first that the median of five others can prune."""
    folder = workplace()
    rates = "optimizer.lr=0.03,0.031,0.032,0.033,0.034,1e-9"
    words = ("hydra.sweeper.sampler=grid", "hydra.sweeper.trials=6", "sweep.pruner=median", "workers.processes=1")
    long = ("budget.steps=60_000", "evaluation.every=2_000", "evaluation.episodes=3", "baseline=mean")
    slow = ("env.vectorization=sync",)  # a run takes some seconds, and can be stopped in time
    done = Done(folder, ready.run(folder, "-m", "hydra/sweeper=optuna", rates, "seed=1", *words, *long, *slow))
    assert done.answer.code == 0
    assert "5 of 6 runs done, 1 pruned" in done.answer.out
    assert [trial.state.name for trial in study_of(done.output).trials] == ["COMPLETE"] * 5 + ["PRUNED"]
    assert "1e-09" not in said(done.answer, "search  6")[0].partition("best")[2]
    last = json.loads((done.job(5) / "rows.jsonl").read_text().splitlines()[-1])
    assert (last["end"], last["complete"]) == ("PRUNED", True)


def test_an_experiment_s_file_may_say_what_is_searched(own: Path, ready: Server) -> None:
    text = FILE.replace("RANGE", "interval(0.5, 2)")
    (own / "myconf" / "experiment" / "mine.yaml").write_text(text)
    answer = ready.run(own, "-m", "--config-dir=myconf", "experiment=mine", *SHORT)
    assert answer.mistake == "algorithm.gamma: given 2.0; must be a number at least 0 and at most 1"


@pytest.mark.parametrize("words", tiered(MISTAKES, [*MISTAKES][::4].__contains__))
def test_a_mistake_is_told_before_anything_is_trained_and_leaves_nothing(
    light: Server, tmp_path: Path, words: str
) -> None:
    answer = light.run(tmp_path, "-m", "hydra/sweeper=optuna", *words.split(" "))
    assert answer.mistake.startswith(MISTAKES[words])
    assert answer.loaded == []
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_a_job_that_is_refused_later_leaves_nothing(ready: Server, own: Path) -> None:
    words = ("baseline=leave_one_out_per_step,mean", "algorithm.credit=total_return,reward_to_go")
    answer = ready.run(own, "-m", "hydra/sweeper=optuna", *words)
    assert answer.mistake.startswith("algorithm.credit: given total_return; LeaveOneOutPerStep is of reward_to_go ")
    assert not (own / "multirun").exists()


def test_without_optuna_it_is_told_how_it_is_installed(light: Server, tmp_path: Path) -> None:
    answer = light.run(tmp_path, "-m", "hydra/sweeper=optuna", "optimizer.lr=interval(1,2)", missing=["optuna"])
    assert answer.mistake == "hydra/sweeper: given optuna; needs the package of that name: pip install 'pgexp[optuna]'"


def test_its_settings_are_shown_with_hydra_s(light: Server, tmp_path: Path) -> None:
    answer = light.run(tmp_path, "hydra/sweeper=optuna", "--cfg", "hydra")
    settings = yaml.safe_load(answer.out)["hydra"]["sweeper"]
    assert (settings["sampler"], settings["trials"]) == ("tpe", 40)
