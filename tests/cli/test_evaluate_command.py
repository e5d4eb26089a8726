"""pgexp-evaluate: numbers, files, MLflow and errors."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from safetensors.numpy import load_file

from pgexp.cli.evaluate import main
from pgexp.execution.evaluate import PolicyEvaluation
from pgexp.runs.manifest import write_config
from pgexp.runs.run_log import Row, RunLogReader
from pgexp.tracking.client import MlflowClient, connect
from pgexp.tracking.store import COMMAND_SETTINGS
from tests.cli.conftest import SHORT, Done
from tests.cli.console import HEAVY, shell, without_announcement
from tests.conftest import Compose
from tests.execution.policy_files import keep
from tests.streams import episode_seed

NAME = "CartPole-v1 mean seed=2"
SEED = 2
EVALUATED = {"evaluation/return_mean"}


@pytest.fixture(scope="module")
def trained(workplace: Callable[[], Path]) -> Done:
    """A run with a registered policy."""
    folder = workplace()
    return Done(folder, shell(folder, "pgexp", "baseline=mean", f"seed={SEED}", *SHORT, "registry.name=pole"))


@pytest.fixture(autouse=True)
def place(trained: Done, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The working directory. Settings of the process are restored after the test."""
    monkeypatch.chdir(trained.folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    for setting, value in COMMAND_SETTINGS.items():
        monkeypatch.setenv(setting, value)
    return trained.folder


@pytest.fixture
def client(trained: Done) -> MlflowClient:
    return connect(f"sqlite:///{trained.folder / 'mlflow.db'}")


def run_id(trained: Done) -> str:
    found: str = trained.store.runs[NAME].info.run_id
    return found


def written_report(trained: Done, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((trained.output / "evaluations" / f"{name}.json").read_text())
    return found


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(line.startswith("pgexp-evaluate: ") for line in captured.err.splitlines())
    return captured.err


def greedy_return(weights: dict[str, np.ndarray], episode: int, seed: int) -> float:
    """Return the return of an episode in Gymnasium's CartPole, with a network in NumPy."""
    env = gym.make("CartPole-v1")
    observation, _ = env.reset(seed=episode_seed(SEED, "evaluation", f"after-{seed}", "env", 0, episode))
    total, over = 0.0, False
    while not over:
        hidden = np.maximum(observation.astype(np.float64) @ weights["0.weight"] + weights["0.bias"], 0)
        outputs = hidden @ weights["1.weight"] + weights["1.bias"]
        observation, reward, terminated, truncated, _ = env.step(int(outputs.argmax()))
        total, over = total + float(reward), terminated or truncated
    return total


def test_returns_equal_those_of_gymnasium(trained: Done) -> None:
    assert main([str(trained.output), "episodes=25", "greedy=true", "seed=4"]) == 0
    weights = load_file(trained.output / "policy" / "policy.safetensors")
    report = written_report(trained, "25-episodes-greedy-seed-4")
    expected = [greedy_return(weights, episode, seed=4) for episode in range(25)]
    assert report["returns"] == report["lengths"] == expected
    assert report["streams"] == [SEED, "evaluation", "after-4"]
    summary = report["summary"]
    assert isinstance(summary, dict)
    assert summary["return_mean"] == pytest.approx(np.mean(expected))
    assert summary["return_p25"] == pytest.approx(np.quantile(expected, 0.25))


def test_output_has_table_streams_and_places(trained: Done, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(trained.output), "episodes=8"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = [line.rstrip() for line in captured.out.splitlines()]
    report = written_report(trained, "8-episodes-sampled-seed-0")
    steps = report["steps"]
    assert lines[0] == f"CartPole-v1, policy after {steps} steps, sampled, 8 episodes"
    headings = ("mean", "95 % interval", "std", "min", "5 %", "25 %", "50 %", "75 %", "95 %", "max")
    assert [line[1:14].rstrip() for line in lines[3:13]] == [*headings]
    assert max(map(len, lines[:15])) <= 80
    assert "truncated by a time limit: 0 of 8" in lines
    assert "The interval is over episodes of this one policy, not over seeds." in lines
    assert f"Random streams: ({SEED}, 'evaluation', 'after-0', episode). Training does not use them." in lines
    assert f"file    {trained.output}/evaluations/8-episodes-sampled-seed-0.json" in lines
    assert lines[-1] == f"MLflow  sqlite:///{trained.folder}/mlflow.db, run {run_id(trained)}"


def test_repeated_command_gives_the_same_and_adds_no_point(trained: Done, client: MlflowClient) -> None:
    path, histories = trained.output / "evaluations" / "6-episodes-sampled-seed-1.json", []
    for _ in range(2):
        assert main([str(trained.output), "episodes=6", "seed=1"]) == 0
        histories.append((path.read_bytes(), client.get_metric_history(run_id(trained), "evaluate/return_mean")))
    assert histories[0] == histories[1]


def test_another_evaluation_adds_a_point(trained: Done, client: MlflowClient) -> None:
    for episodes in (5, 7):
        assert main([str(trained.output), f"episodes={episodes}", "seed=9"]) == 0
        report = written_report(trained, f"{episodes}-episodes-sampled-seed-9")
        points = client.get_metric_history(run_id(trained), "evaluate/return_mean")
        assert isinstance(report["summary"], dict)
        latest = max(points, key=lambda point: point.timestamp)
        assert (latest.step, latest.value) == (report["steps"], report["summary"]["return_mean"])


def test_one_episode_has_no_interval(trained: Done, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(trained.output), "episodes=1"]) == 0
    out = capsys.readouterr().out
    assert "sampled, 1 episode\n" in out
    assert "interval" not in out.partition("truncated by")[0]


def test_videos_are_in_the_folder_and_in_mlflow(trained: Done) -> None:
    assert main([str(trained.output), "episodes=3", "video=true"]) == 0
    names = {f"video/3-episodes-sampled-seed-0-episode-0.{kind}" for kind in ("mp4", "gif")}
    assert all((trained.output / name).stat().st_size > 1_000 for name in names)
    files = trained.store.artifacts(NAME)
    assert names | {"evaluations/3-episodes-sampled-seed-0.json"} <= files


@pytest.mark.parametrize("how", ["id", "name/1", "models:/name/1", "models:/name@alias"])
def test_run_by_id_or_registered_model(
    trained: Done,
    client: MlflowClient,
    how: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(trained.output), "episodes=10"]) == 0
    expected = capsys.readouterr().out.partition("Random streams")[0]
    client.set_registered_model_alias("pole", "alias", "1")
    monkeypatch.chdir(tmp_path)
    name = run_id(trained) if how == "id" else how.replace("name", "pole")
    assert main([name, "episodes=10", "--uri", f"sqlite:///{trained.folder}/mlflow.db"]) == 0
    out = capsys.readouterr().out
    assert out.partition("Random streams")[0] == expected
    assert out.endswith(f"run {run_id(trained)}\n")
    assert ("file " in out) == (how == "id")
    assert [*tmp_path.iterdir()] == []


def test_unreachable_store_leaves_the_result_in_the_folder(
    trained: Done, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained.output, tmp_path / "run")
    assert main([str(tmp_path / "run"), "episodes=2", "--uri", "http://127.0.0.1:9"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("MLflow  not recorded: cannot read http://127.0.0.1:9")
    assert last.endswith("The run's folder has it; repeat the command when the store is available")
    assert (tmp_path / "run" / "evaluations" / "2-episodes-sampled-seed-0.json").is_file()


@pytest.mark.parametrize(
    ("words", "expected_text"),
    [
        (["episodes=0"], "episodes: must be a whole number greater than 0 (got 0)"),
        (["episodes=many"], "episodes: must be a whole number greater than 0 (got 'many')"),
        (["episodes=1.5"], "episodes: must be a whole number greater than 0 (got '1.5')"),
        (["greedy=3"], "greedy: must be true or false or null (got 3)"),
        (["seed=-1"], "seed: must be a whole number at least 0 (got -1)"),
        (["epsodes=3"], "epsodes: unknown key (got 3). Did you mean 'episodes'?"),
        (["render=rgb"], "render: must be one of human or null (got 'rgb')"),
        (["films"], "films: must have the form key=value"),
        (["seed=1", "seed=2"], "seed: must be set once only"),
        (["video=true", "render=human"], "render: excludes video=true"),
        (["render=human"], "render: needs a screen"),
    ],
)
def test_user_errors(
    trained: Done,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected_text: str,
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert error_of(capsys, str(trained.output), *words).startswith(f"pgexp-evaluate: {expected_text}")


@pytest.mark.parametrize("name", ["pole/7", "absent/1", "models:/pole", "0" * 32, "nowhere", "."])
def test_other_names_are_refused(capsys: pytest.CaptureFixture[str], name: str) -> None:
    error = error_of(capsys, name)
    assert error.startswith("pgexp-evaluate: run: ")
    assert name in error


def test_no_store_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    expected_text = error_of(capsys, "pole/1")
    assert expected_text.startswith("pgexp-evaluate: run: no such folder (got 'pole/1'), and no store")
    assert [*tmp_path.iterdir()] == []


def test_stopped_run_is_evaluated_at_its_last_checkpoint(
    trained: Done, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last checkpoint of a finished run has its final policy."""
    answers = []
    for taken in ("", "policy", "checkpoint"):
        shutil.copytree(trained.output, run := tmp_path / f"without {taken}")
        if taken:
            shutil.rmtree(run / taken)
        assert main([str(run), "episodes=5", "--uri", "http://127.0.0.1:9"]) == 0
        answers.append(capsys.readouterr().out.partition("Random streams")[0])
    assert answers[0] == answers[1] == answers[2]
    shutil.rmtree(tmp_path / "without checkpoint" / "policy")
    assert "has no last checkpoint" in error_of(capsys, str(tmp_path / "without checkpoint"))


def test_best_policy_is_that_of_the_best_evaluation(
    trained: Done, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row for row in RunLogReader(trained.output / "rows.jsonl").read() if isinstance(row, Row)]
    scores = [(row.metrics["evaluation/return_mean"], row.steps) for row in rows if row.metrics.keys() >= EVALUATED]
    best = max(score for score, _ in scores)
    steps = next(steps for score, steps in scores if score == best)
    shutil.copytree(trained.output, tmp_path / "run")
    assert main([str(tmp_path / "run"), "policy=best", "episodes=2", "--uri", "http://127.0.0.1:9"]) == 0
    assert f"best policy after {steps:,} steps" in capsys.readouterr().out
    assert (tmp_path / "run" / "evaluations" / "best-2-episodes-sampled-seed-0.json").is_file()


def test_window_shows_the_episodes(
    trained: Done, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setitem(gym.envs.classic_control.CartPoleEnv.metadata, "render_fps", 10_000)
    assert main([str(trained.output), "episodes=2", "greedy=false", "render=human"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "episode 0; Ctrl-C ends it",
        "episode 1; Ctrl-C ends it",
    ]


@pytest.mark.slow
def test_user_environment_in_the_working_directory(configured: Compose, place: Path, tmp_path: Path) -> None:
    config = configured("env.id=tests.execution.own.mine:Clock-v0", "network=linear", "baseline=none")
    keep(config, tmp_path / "policy")
    write_config(config, tmp_path)
    described = tmp_path / "policy" / "policy.json"
    described.write_text(described.read_text().replace("tests.execution.own.mine:", "mine:"))
    command = [sys.executable, "-P", "-m", "pgexp.cli.evaluate", tmp_path, "episodes=3", "--uri", "http://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    assert (done.returncode, without_announcement(done.stderr)) == (0, "")
    assert json.loads((tmp_path / "evaluations" / "3-episodes-sampled-seed-0.json").read_text())["lengths"] == [4, 4, 4]


def test_ctrl_c_ends_the_window(trained: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(PolicyEvaluation, "show", interrupt)
    assert main([str(trained.output), "episodes=2", "render=human"]) == 0


def test_ctrl_c_during_the_evaluation(
    trained: Done, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PolicyEvaluation, "run", interrupt)
    assert main([str(trained.output), "episodes=41"]) == 130
    assert capsys.readouterr().err == "pgexp-evaluate: interrupted; nothing was recorded\n"
    assert not (trained.output / "evaluations" / "41-episodes-sampled-seed-0.json").exists()


def test_help_is_light_and_lists_the_options() -> None:
    script = (
        f"import sys, pgexp.cli.evaluate as it\ntry: it.main(['-h'])\nfinally: print(*{set(HEAVY)} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *text, loaded = done.stdout.splitlines()
    assert loaded == ""
    text_lines = "\n".join(text)
    assert all(
        f"\n  {word}" in text_lines for word in ("episodes=100", "greedy=true", "seed=0", "video=true", "render=human")
    )
