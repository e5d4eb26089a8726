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

# Arguments of a search, and the key and a fragment of the message.
ERRORS = {
    "optimizer.lr=interval(-1,1)": ("optimizer.lr", "must be a number greater than 0 (got -1.0)"),
    "algorithm.gamma=interval(0.5,2)": ("algorithm.gamma", "at most 1 (got 2.0)"),
    "optimizer.lrr=interval(1,2)": ("optimizer.lrr", "Did you mean 'lr'?"),
    "optimizer.lr=interval(0.5,0.1)": ("optimizer.lr", "must be from a finite number to a larger one"),
    "baseline=nine,none hydra.sweeper.trials=1": ("baseline", "unknown option (got 'nine')"),
    "+hydra.sweeper.params.algorithm.gamma='interval(0.5,1.001)' hydra.sweeper.trials=1": (
        "algorithm.gamma",
        "at most 1 (got 1.001)",
    ),
    "network=mlp,linear network.widths=[8],[4]": ("network.widths", "unknown key"),
    "baseline=glob(z*)": ("baseline", "must have at least one value (got glob(z*))"),
    "hydra.sweeper.sampler=gird": ("hydra.sweeper.sampler", "must be one of tpe, random, grid, "),
    "optimizer.lr=interval(1,2) hydra.sweeper.sampler=grid": ("optimizer.lr", "must be a range or a list of values"),
    "hydra.sweeper.trial=3": ("hydra.sweeper.trial", "List the keys with pgexp --cfg hydra"),
    "+hydra.sweeper.trial=3": ("hydra.sweeper.trial", "Did you mean 'trials'?"),
    "sweep.objective.direction=up": ("sweep.objective.direction", "must be one of maximize, minimize (got 'up')"),
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


def lines_with(answer: Answer, start: str) -> list[str]:
    return [line for line in answer.out.splitlines() if line.startswith(start)]


def test_search_prints_each_trial_and_the_best(found: Done) -> None:
    assert (found.answer.code, found.answer.err) == (0, "")
    lines = lines_with(found.answer, "search ")
    assert [line.partition(";")[0] for line in lines] == [f"search  {done} of 3 trials done" for done in (1, 2, 3)]
    assert "; best so far " in lines[-1]
    assert lines_with(found.answer, "trial  final/return_mean  runs  optimizer.lr  baseline")


def test_trial_value_is_the_mean_over_seeds(found: Done) -> None:
    trials = study_of(found.output).trials
    assert len(trials) == 3
    for trial in trials:
        jobs = [found.job(2 * trial.number + seed) for seed in (0, 1)]
        configs = [yaml.safe_load((job / ".hydra" / "config.yaml").read_text()) for job in jobs]
        assert [config["seed"] for config in configs] == [1, 2]
        assert {config["optimizer"]["lr"] for config in configs} == {trial.params["optimizer.lr"]}
        assert trial.value == pytest.approx(sum(map(final, jobs)) / 2)


def test_best_trial_is_written_to_a_file(found: Done) -> None:
    best = study_of(found.output).best_trial
    written = yaml.safe_load((found.output / "optimization_results.yaml").read_text())
    assert written == {"name": "optuna", "best_params": best.params, "best_value": best.value}


def test_runs_of_a_search_are_one_sweep_in_mlflow(found: Done) -> None:
    assert set(found.store.statuses.values()) == {"FINISHED"}
    assert [run.data.tags["pgexp.role"] for run in found.store.runs.values()].count("run") == 6


def test_runs_of_a_search_are_in_one_manifest(found: Done) -> None:
    runs = json.loads((found.output / "manifest.json").read_text())["runs"]
    assert sorted(run["folder"] for run in runs) == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.slow
def test_pruned_run_has_its_status_and_no_score(workplace: Callable[[], Path], ready: Server) -> None:
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
    assert "1e-09" not in lines_with(done.answer, "search  6")[0].partition("best")[2]
    last = json.loads((done.job(5) / "rows.jsonl").read_text().splitlines()[-1])
    assert (last["end"], last["complete"]) == ("PRUNED", True)


def test_experiment_file_can_define_a_search(own: Path, ready: Server) -> None:
    text = FILE.replace("RANGE", "interval(0.5, 2)")
    (own / "myconf" / "experiment" / "mine.yaml").write_text(text)
    answer = ready.run(own, "-m", "--config-dir=myconf", "experiment=mine", *SHORT)
    assert answer.mistake.startswith("algorithm.gamma: ")


@pytest.mark.parametrize("words", tiered(ERRORS, [*ERRORS][::4].__contains__))
def test_search_error_before_training_leaves_no_files(light: Server, tmp_path: Path, words: str) -> None:
    answer = light.run(tmp_path, "-m", "hydra/sweeper=optuna", *words.split(" "))
    key, fragment = ERRORS[words]
    assert answer.mistake.startswith(f"{key}: ")
    assert fragment in answer.mistake
    assert answer.loaded == []
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_refused_job_of_a_search_leaves_no_files(ready: Server, own: Path) -> None:
    words = ("baseline=leave_one_out_per_step,mean", "algorithm.return_type=total_return,reward_to_go")
    answer = ready.run(own, "-m", "hydra/sweeper=optuna", *words)
    assert answer.mistake.startswith("algorithm.return_type: must be reward_to_go for LeaveOneOutPerStep ")
    assert not (own / "multirun").exists()


def test_missing_optuna_is_reported_with_the_install_command(light: Server, tmp_path: Path) -> None:
    answer = light.run(tmp_path, "-m", "hydra/sweeper=optuna", "optimizer.lr=interval(1,2)", missing=["optuna"])
    assert answer.mistake.startswith("hydra/sweeper: needs the package optuna")


def test_search_settings_are_in_the_hydra_config(light: Server, tmp_path: Path) -> None:
    answer = light.run(tmp_path, "hydra/sweeper=optuna", "--cfg", "hydra")
    settings = yaml.safe_load(answer.out)["hydra"]["sweeper"]
    assert (settings["sampler"], settings["trials"]) == ("tpe", 40)
