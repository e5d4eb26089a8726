"""Users' mistakes: exit code 2, one line with the key, and no change on disk or in MLflow."""

from pathlib import Path

import pytest

from tests.cli.console import Server, shell
from tests.tiers import tiered

# Arguments, and the key and a fragment of the message. Nothing heavy is loaded.
EARLY = {
    "sed=1": ("sed", "unknown key (got '1'). Did you mean 'seed'? Known keys: algorithm, "),
    "network.width=[3]": ("network.width", "Did you mean 'widths'?"),
    "baseline.network.width=[3]": ("baseline.network.width", "Did you mean 'widths'?"),
    "-m seed=1,2 network.width=[3],[4]": ("network.width", "(got '[3],[4]'). Did you mean 'widths'?"),
    "+baseline.fit_steps=1": ("baseline.fit_steps", "It was renamed to 'baseline.value_updates'."),
    "optimizer.amsgrad=true": ("optimizer.amsgrad", "Add it with +optimizer.amsgrad=true"),
    "network=mpl": ("network", "unknown option (got 'mpl'). Did you mean 'mlp'?"),
    "-m seed=1,2 baseline=mean,nine": ("baseline", "unknown option (got 'nine'). Did you mean 'none'?"),
    "budget.steps=many": ("budget.steps", "must be a whole number greater than 0 or null (got 'many')"),
    "algorithm.gamma=1.5": ("algorithm.gamma", "at least 0 and at most 1 (got 1.5)"),
    "-m seed=1,-2": ("seed", "must be a whole number at least 0 (got -2)"),
    "-m baseline=none,value algorithm.gamma=0.5,1.5": ("algorithm.gamma", "(got 1.5)"),
    "budget.episodes=5": ("budget", "(got steps=200000 and episodes=5)"),
    "env.num_envs=3": ("env.num_envs", "must divide algorithm.batch.episodes=8"),
    "optimizer._target_=torch.optim.LBFGS": ("optimizer", "LBFGS is not supported"),
    "baseline._target_=pgexp.baselines.mean.Mean": ("baseline._target_", "has no class 'Mean'"),
    "seed=[1": ("seed=[1", "must have the form key=value"),
    "env.wrappers=[{stack_size:4}]": ("env.wrappers[0]._target_", "must be the import path of a class (got None)"),
    "env.wrappers=4": ("env.wrappers", "must be a list of mappings"),
    "env.wrappers=[{_target_:gymnasium.wrappers.FrameStackObservation,stack_size:4,pad:2}]": (
        "env.wrappers[0].pad",
        "unknown key (got 2). Known keys: padding_type, stack_size.",
    ),
    "diagnostics=some": ("diagnostics", "must be one of full, light, off (got 'some')"),
    "seed=${sed}": ("seed", "Interpolation key 'sed' not found"),
    "network=3": ("network", "must be the name of an option (got 3)"),
    "tracking=null": ("tracking", "must be the name of an option (got null)"),
    "-m seed=range(0)": ("seed", "must have at least one value"),
    "baseline=none,mean": ("baseline", "For a sweep add -m"),
    "-m network=mlp,linear network.widths=[3]": ("network.widths", "Linear"),
    "env.kwargs.gravity=3": ("env.kwargs.gravity", "Add it with +env.kwargs.gravity="),
    "env.kwargs={gravity:3}": ("env.kwargs.gravity", "Add it with +env.kwargs.gravity="),
    "budget={step:5}": ("budget.step", "Did you mean 'steps'?"),
    "--config-dir myconf": ("config", "/myconf' not found"),
}

# The same for mistakes that are found with torch and the environment, before training.
BEFORE_TRAINING = {
    "env.id=CartPole-v11": ("env.id", "must be the id of an environment (got 'CartPole-v11')"),
    "env.id=mine:Cluck-v0": ("env.id", "must be the id of an environment (got 'mine:Cluck-v0')"),
    "env.id=mien:Clock-v0": ("env", "mien:Clock-v0 cannot be made:"),
    "env.id=mine:Wordy-v0": ("env.id", "actions of mine:Wordy-v0 must be"),
    "env.id=mine:Blind-v0 evaluation.video=true": ("evaluation.video", "mine:Blind-v0 cannot be rendered here:"),
    "env=pendulum head=categorical": ("head", "CategoricalHead refuses its arguments:"),
    "network=cnn_nature": ("network", "CNN refuses its arguments:"),
    "env.wrappers=[{_target_:gymnasium.wrappers.NormalizeObservation}]": (
        "env.wrappers",
        "NormalizeObservation keeps statistics of a single environment between episodes.",
    ),
    "baseline=leave_one_out_per_step algorithm.return_type=total_return": (
        "algorithm.return_type",
        "must be reward_to_go for LeaveOneOutPerStep (got total_return)",
    ),
    "baseline=none algorithm.return_type=lambda_return": (
        "algorithm.return_type",
        "must be reward_to_go, because NoBaseline",
    ),
    "baseline=shared_value algorithm=natural": ("algorithm.gradient_transform", "must be null, because SharedValue"),
    "+env.kwargs.gravity=3": ("env", "CartPole-v1 cannot be made:"),
    "algorithm.batch.episodes=null algorithm.batch.steps=8 baseline=none": (
        "algorithm.partial_episodes",
        "must be drop, because NoBaseline cannot predict",
    ),
    "algorithm.time_limit=bootstrap baseline=mean": (
        "algorithm.time_limit",
        "must be end, because BatchMean cannot predict",
    ),
    "baseline=none baseline._target_=mine.Unrelated": (
        "baseline._target_",
        "mine.Unrelated must be a subclass of pgexp.baselines.baseline.Baseline",
    ),
    "optimizer.betas=[0.9,2.0]": ("optimizer", "Adam refuses its arguments: Invalid beta parameter at index 1: 2.0"),
    "-m seed=1,2 tracking.experiment=a,b": ("tracking", "must be equal for all jobs of a sweep"),
    "env.id=CartPol-v1": ("env.id", "Did you mean 'CartPole-v1'?"),
    "-m seed=1,2 hydra.sweep.subdir=same": ("hydra.sweep.subdir", "must differ between the runs"),
}

# An experiment's YAML, and the key and a fragment of the message.
YAML = {
    "network: {width: [3]}": ("network.width", "Did you mean 'widths'?"),
    "netwrok: {widths: [3]}": ("netwrok", "Did you mean 'network'?"),
    "optimizer: {weight_decy: 1}": ("optimizer.weight_decy", "Did you mean 'weight_decay'?"),
    "schedule: {fnial: 0.5}": ("schedule.fnial", "Did you mean 'final'?"),
    "algorithm: {btach: {steps: 3}}": ("algorithm.btach", "Did you mean 'batch'?"),
    "optimizer: {lr: fast}": ("optimizer.lr", "must be a number greater than 0 (got 'fast')"),
    "defaults: [override /network: mpl]": ("network", "Did you mean 'mlp'?"),
    "defaults: [override /netwrok: mlp]": ("config", "netwrok"),
}


def error_line(server: Server, folder: Path, line: str) -> str:
    """Return the error of a refused command. It must leave the folder unchanged, and load nothing heavy."""
    before = paths(folder)
    answer = server.run(folder, *line.split(" "))
    assert answer.loaded == []
    assert paths(folder) == before
    return answer.mistake


def paths(folder: Path) -> set[Path]:
    """Return all paths in a folder except Python's caches."""
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.parametrize("line", tiered(EARLY, [*EARLY][::3].__contains__))
def test_early_errors(light: Server, tmp_path: Path, line: str) -> None:
    key, fragment = EARLY[line]
    error = error_line(light, tmp_path, line)
    assert error.startswith(f"{key}: ")
    assert fragment in error


@pytest.mark.parametrize("line", tiered(BEFORE_TRAINING, [*BEFORE_TRAINING][::3].__contains__))
def test_errors_before_training(ready: Server, own: Path, line: str) -> None:
    key, fragment = BEFORE_TRAINING[line]
    error = error_line(ready, own, line)
    assert error.startswith(f"{key}: ")
    assert fragment in error


@pytest.mark.parametrize("text", tiered(YAML, [*YAML][::3].__contains__))
def test_errors_in_an_experiment_file(light: Server, own: Path, text: str) -> None:
    (own / "myconf" / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}\n")
    key, fragment = YAML[text]
    error = error_line(light, own, "--config-dir myconf experiment=mine")
    assert error.startswith(f"{key}: ")
    assert fragment in error


def test_the_console_script_reports_the_same_error(tmp_path: Path) -> None:
    assert shell(tmp_path, "pgexp", "sed=1").mistake.startswith("sed: unknown key")


def test_all_errors_of_a_config_are_reported(light: Server, tmp_path: Path) -> None:
    answer = light.run(tmp_path, "seed=-1", "optimizer.lr=0", "+network.depth=2")
    assert answer.code == 2
    assert {line.split(" ")[1] for line in answer.err.splitlines()} == {"seed:", "optimizer.lr:", "network.depth:"}


def test_refused_arguments_are_not_suggested(light: Server, tmp_path: Path) -> None:
    known = error_line(light, tmp_path, "+optimizer.momentum=0.9").partition(" Known keys: ")[2]
    assert "amsgrad" in known
    assert "maximize" not in known


def test_invalid_yaml_is_reported_with_its_path(light: Server, own: Path) -> None:
    (own / "myconf" / "baseline" / "mine.yaml").write_text("# Mine.\n_target_: mine.Level\nlevel: [0.5\n")
    assert "myconf/baseline/mine.yaml" in error_line(light, own, "--config-dir myconf baseline=mine")


@pytest.mark.parametrize("folder", [["--config-dir=myconf"], ["-cd", "my conf"]])
def test_unknown_key_of_a_user_option(light: Server, own: Path, folder: list[str]) -> None:
    (own / "my conf").symlink_to("myconf")
    error = light.run(own, *folder, "baseline=mine", "baseline.leve=1").mistake
    assert error == "baseline.leve: unknown key (got '1'). Did you mean 'level'? Known keys: level."


@pytest.mark.parametrize("line", ["evaluation.video=true", "-m evaluation.video=false,true"])
def test_video_needs_its_packages(ready: Server, own: Path, line: str) -> None:
    answer = ready.run(own, *line.split(" "), "env.id=mine:Clock-v0", "budget.steps=8", missing=["imageio"])
    assert [*own.rglob("rows.jsonl")] == []
    assert answer.mistake.startswith("evaluation.video: ")
    assert "pgexp[video]" in answer.mistake


def test_internal_errors_have_a_traceback(ready: Server, own: Path) -> None:
    """A bug of pgexp, here a broken callback of Hydra that calls it, is not reported as a user's mistake."""
    (own / "broken.py").write_text("from pgexp.cli.messages import print_error\nclass Broken:\n    x = 1\n")
    answer = ready.run(own, "seed=1", environment={"PGEXP_TEST_BUG": "1"}, missing=["pgexp.execution.training"])
    assert answer.code == 1
    lines = answer.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("pgexp: internal error (")
    assert "Please report it" in lines[-1]
