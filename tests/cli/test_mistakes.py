"""Every mistake ends the command with exit code 2 and a line that names the key, and leaves MLflow alone."""

from pathlib import Path

import pytest

from tests.cli.console import Server, shell
from tests.conftest import CONF

ROOT = ", ".join(
    sorted(["seed", "dtype", "diagnostics", "budget", "checkpoint", "registry", "env", "network", "head", "optimizer",
            "schedule", "baseline", "algorithm", "evaluation", "tracking", "sweep", "workers"])
)  # fmt: skip
MLP = "activation, hidden_gain, initialization, layer_norm, output_gain, widths"

# What the command is given, and all that it says, with nothing heavy loaded.
TOLD_EARLY = {
    "sed=1": f"sed: unknown key (given '1'). Did you mean 'seed'? Known here: {ROOT}.",
    "network.width=[3]": f"network.width: unknown key (given '[3]'). Did you mean 'widths'? Known here: {MLP}.",
    "baseline.network.width=[3]": (
        f"baseline.network.width: unknown key (given '[3]'). Did you mean 'widths'? Known here: {MLP}."
    ),
    "-m seed=1,2 network.width=[3],[4]": (
        f"network.width: unknown key (given '[3],[4]'). Did you mean 'widths'? Known here: {MLP}."
    ),
    "+baseline.fit_step=1": (
        "baseline.fit_step: unknown key (given 1). Did you mean 'fit_steps'? Known here: fit_steps, lr, network."
    ),
    "optimizer.amsgrad=true": (
        "optimizer.amsgrad: is not in the option's YAML, but torch.optim.Adam takes it: "
        "add it, with +optimizer.amsgrad=true"
    ),
    "network=mpl": (
        "network: given 'mpl'; there is no such option. Did you mean 'mlp'? "
        "Known here: cnn_nature, cnn_small, gru, linear, lstm, mlp."
    ),
    "-m seed=1,2 baseline=mean,nine": (
        "baseline: given 'nine'; there is no such option. Did you mean 'none'? "
        f"Known here: {', '.join(sorted(path.stem for path in (CONF / 'baseline').iterdir()))}."
    ),
    "budget.steps=many": "budget.steps: given 'many'; must be a whole number greater than 0 or null",
    "algorithm.gamma=1.5": "algorithm.gamma: given 1.5; must be a number at least 0 and at most 1",
    "-m seed=1,-2": "seed: given -2; must be a whole number at least 0",
    "-m baseline=none,value algorithm.gamma=0.5,1.5": (
        "algorithm.gamma: given 1.5; must be a number at least 0 and at most 1"
    ),
    "budget.episodes=5": (
        "budget: steps=200000 and episodes=5 exclude each other; add budget.steps=null or budget.episodes=null"
    ),
    "env.num_envs=3": (
        "env.num_envs: must divide algorithm.batch.episodes=8, so that each environment plays as many (got 3)"
    ),
    "optimizer._target_=torch.optim.LBFGS": (
        "optimizer: LBFGS is not supported: it evaluates the loss several times a step, "
        "on a batch that policy gradients sample once"
    ),
    "baseline._target_=pgexp.baselines.mean.Mean": (
        "baseline._target_: given 'pgexp.baselines.mean.Mean'; "
        "there is no class 'Mean' in the module 'pgexp.baselines.mean' (mean.py)"
    ),
    "seed=[1": "seed=[1: can't be read as key=value; quote special characters, as in 'key=\"a b\"'",
    "env.wrappers=[{stack_size:4}]": "env.wrappers[0]._target_: given None; must be the import path of a class",
    "env.wrappers=4": "env.wrappers: given 4; must be a list of mappings, each with its own _target_",
    "env.wrappers=[{_target_:gymnasium.wrappers.FrameStackObservation,stack_size:4,pad:2}]": (
        "env.wrappers[0].pad: unknown key (given 2). Known here: padding_type, stack_size."
    ),
    "diagnostics=some": "diagnostics: given 'some'; must be one of full, light, off",
    "seed=${sed}": "seed: Interpolation key 'sed' not found",
}

# The same of what is known once torch or the environment is loaded: what is said begins so.
TOLD_BEFORE_TRAINING = {
    "env.id=CartPole-v11": "env.id: given 'CartPole-v11'; ",
    "env.id=mine:Cluck-v0": "env.id: given 'mine:Cluck-v0'; ",
    "env.id=mien:Clock-v0": "env: mien:Clock-v0 can't be made: ",
    "env.id=mine:Wordy-v0": "env.id: mine:Wordy-v0 acts in Text(1, 3, ",
    "env.id=mine:Blind-v0 evaluation.video=true": "evaluation.video: mine:Blind-v0 can't be pictured here: ",
    "env=pendulum head=categorical": "head: CategoricalHead refuses its arguments: ",
    "network=cnn_nature": "network: CNN refuses its arguments: ",
    "env.wrappers=[{_target_:gymnasium.wrappers.NormalizeObservation}]": (
        "env.wrappers: NormalizeObservation keeps statistics of its own environment from episode to episode; "
        "env.normalize_observations=true normalises by those of the whole run"
    ),
    "baseline=leave_one_out_per_step algorithm.credit=total_return": (
        "algorithm.credit: given total_return; LeaveOneOutPerStep is of reward_to_go alone: "
    ),
    "baseline=none algorithm.credit=lambda_return": "algorithm.credit=lambda_return: needs a baseline that predicts",
    "baseline=shared_value algorithm=natural": "algorithm.direction: is of the policy alone, but SharedValue ",
    "+env.kwargs.gravity=3": "env: CartPole-v1 can't be made: ",
    "algorithm.batch.episodes=null algorithm.batch.steps=8 baseline=none": (
        "algorithm.open_tail=bootstrap: needs a baseline that predicts an unseen observation's return, "
        "which NoBaseline can't: set algorithm.open_tail=drop"
    ),
    "algorithm.time_limit=bootstrap baseline=mean": (
        "algorithm.time_limit=bootstrap: needs a baseline that predicts an unseen observation's return, "
        "which BatchMean can't: set algorithm.time_limit=end"
    ),
    "baseline=none baseline._target_=mine.Unrelated": (
        "baseline._target_: mine.Unrelated is no pgexp.baselines.baseline.Baseline; derive it from that class"
    ),
    "optimizer.betas=[0.9,2.0]": "optimizer: Adam refuses its arguments: Invalid beta parameter at index 1: 2.0",
    "-m seed=1,2 tracking.experiment=a,b": (
        "tracking: differs between the jobs of the sweep; a sweep is recorded in one place"
    ),
}


def mistake(server: Server, folder: Path, line: str) -> str:
    """Return what the command says of a line that it refuses; it left nothing behind, and loaded nothing heavy."""
    before = standing(folder)
    answer = server.run(folder, *line.split(" "))
    assert answer.loaded == []
    assert standing(folder) == before
    return answer.mistake


def standing(folder: Path) -> set[Path]:
    """Return all that stands in a folder, but for what Python keeps of a module that it imported."""
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.parametrize("line", TOLD_EARLY)
def test_a_mistake_is_told_in_a_line_before_anything_heavy_is_loaded(light: Server, tmp_path: Path, line: str) -> None:
    assert mistake(light, tmp_path, line) == TOLD_EARLY[line]


@pytest.mark.parametrize("line", TOLD_BEFORE_TRAINING)
def test_a_mistake_is_told_in_a_line_before_training(ready: Server, own: Path, line: str) -> None:
    assert mistake(ready, own, line).startswith(TOLD_BEFORE_TRAINING[line])


def test_the_console_script_refuses_alike(tmp_path: Path) -> None:
    assert shell(tmp_path, "pgexp", "sed=1").mistake == TOLD_EARLY["sed=1"]


def test_every_mistake_of_a_config_is_told_each_in_a_line_of_its_own(light: Server, tmp_path: Path) -> None:
    answer = light.run(tmp_path, "seed=-1", "optimizer.lr=0", "+network.depth=2")
    assert answer.code == 2
    assert {line.split(" ")[1] for line in answer.err.splitlines()} == {"seed:", "optimizer.lr:", "network.depth:"}


def test_an_unknown_environment_is_told_with_the_nearest_known_one(ready: Server, tmp_path: Path) -> None:
    assert mistake(ready, tmp_path, "env.id=CartPol-v1").endswith("Did you mean 'CartPole-v1'?")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("network: {width: [3]}", "network.width: unknown key (given [3]). Did you mean 'widths'?"),
        ("netwrok: {widths: [3]}", "netwrok: unknown key (given {'widths': [3]}). Did you mean 'network'?"),
        ("optimizer: {weight_decy: 1}", "optimizer.weight_decy: unknown key (given 1). Did you mean 'weight_decay'?"),
        ("schedule: {fnial: 0.5}", "schedule.fnial: unknown key (given 0.5). Did you mean 'final'?"),
        ("algorithm: {btach: {steps: 3}}", "algorithm.btach: unknown key (given {'steps': 3}). Did you mean 'batch'?"),
        ("optimizer: {lr: fast}", "optimizer.lr: given 'fast'; must be a number greater than 0"),
        ("defaults: [override /network: mpl]", "network: given 'mpl'; there is no such option. Did you mean 'mlp'?"),
    ],
)
def test_a_mistake_in_a_user_s_yaml_is_told_alike(light: Server, own: Path, text: str, said: str) -> None:
    (own / "myconf" / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}\n")
    assert mistake(light, own, "--config-dir myconf experiment=mine").startswith(said)


def test_arguments_that_pgexp_refuses_are_not_offered(light: Server, tmp_path: Path) -> None:
    known = mistake(light, tmp_path, "+optimizer.momentum=0.9").partition(" Known here: ")[2]
    assert "amsgrad" in known
    assert "maximize" not in known


def test_a_user_s_yaml_that_chooses_from_no_group_is_told_with_its_name(light: Server, own: Path) -> None:
    (own / "myconf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [override /netwrok: mlp]\n"
    )
    said = mistake(light, own, "--config-dir myconf experiment=mine")
    assert "experiment/mine" in said
    assert "netwrok" in said


def test_a_user_s_yaml_that_is_none_is_told_with_its_name_and_line(light: Server, own: Path) -> None:
    (own / "myconf" / "baseline" / "mine.yaml").write_text("# Mine.\n_target_: mine.Level\nlevel: [0.5\n")
    assert "myconf/baseline/mine.yaml" in mistake(light, own, "--config-dir myconf baseline=mine")


@pytest.mark.parametrize("given", [["--config-dir=myconf"], ["-cd", "my conf"]])
def test_an_own_option_s_unknown_key_is_told_however_its_folder_is_given(
    light: Server, own: Path, given: list[str]
) -> None:
    (own / "my conf").symlink_to("myconf")
    answer = light.run(own, *given, "baseline=mine", "baseline.leve=1")
    assert answer.mistake == "baseline.leve: unknown key (given '1'). Did you mean 'level'? Known here: level."


def test_a_missing_config_folder_is_told(light: Server, tmp_path: Path) -> None:
    assert f"'{tmp_path}/myconf' not found" in mistake(light, tmp_path, "--config-dir myconf")


@pytest.mark.parametrize("line", ["network=3", "tracking=null"])
def test_an_option_that_is_no_name_is_told_with_its_group(light: Server, tmp_path: Path, line: str) -> None:
    assert mistake(light, tmp_path, line).startswith(f"{line.partition('=')[0]}: given ")


def test_a_sweep_over_nothing_is_told_with_its_key(light: Server, tmp_path: Path) -> None:
    assert mistake(light, tmp_path, "-m seed=range(0)").startswith("seed: ")


def test_values_of_a_sweep_without_m_are_told_with_their_key(light: Server, tmp_path: Path) -> None:
    said = mistake(light, tmp_path, "baseline=none,mean")
    assert said.startswith("baseline: ")
    assert "-m" in said


def test_a_key_that_one_of_the_swept_options_lacks_is_told_with_that_option(light: Server, tmp_path: Path) -> None:
    assert "Linear" in mistake(light, tmp_path, "-m network=mlp,linear network.widths=[3]")


@pytest.mark.parametrize("line", ["env.kwargs.gravity=3", "env.kwargs={gravity:3}"])
def test_an_environment_s_argument_is_told_how_it_is_added(light: Server, tmp_path: Path, line: str) -> None:
    assert "+env.kwargs." in mistake(light, tmp_path, line)


def test_an_unknown_key_is_told_where_a_section_is_given_as_a_whole(light: Server, tmp_path: Path) -> None:
    assert "'steps'" in mistake(light, tmp_path, "budget={step:5}")


def test_jobs_of_a_sweep_that_would_share_a_folder_are_refused(ready: Server, tmp_path: Path) -> None:
    assert "subdir" in mistake(ready, tmp_path, "-m seed=1,2 hydra.sweep.subdir=same")


@pytest.mark.parametrize("line", ["evaluation.video=true", "-m evaluation.video=false,true"])
def test_a_film_that_could_not_be_written_is_refused_before_training(ready: Server, own: Path, line: str) -> None:
    answer = ready.run(own, *line.split(" "), "env.id=mine:Clock-v0", "budget.steps=8", missing=["imageio"])
    assert [*own.rglob("rows.jsonl")] == []
    assert answer.mistake.startswith("evaluation.video: ")
    assert "pgexp[video]" in answer.mistake
