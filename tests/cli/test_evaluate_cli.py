"""pgexp-evaluate on a run that `pgexp` trained: its numbers, its files, what MLflow gets, and what it refuses."""

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

from pgexp.cli.compare import MLFLOW_SETTINGS
from pgexp.cli.evaluate import main
from pgexp.execution.evaluating import TrainedEvaluation
from pgexp.storage.mlflow_client import MlflowClient, connect
from pgexp.storage.run_config import write_config
from pgexp.storage.spool import Row, SpoolReader
from tests.cli.conftest import SHORT, Done
from tests.cli.console import HEAVY, shell, without_announcement
from tests.conftest import Compose
from tests.execution.kept import keep
from tests.streams import episode_seed

NAME = "CartPole-v1 mean seed=2"
SEED = 2
EVALUATED = {"evaluation/return_mean"}


@pytest.fixture(scope="module")
def trained(workplace: Callable[[], Path]) -> Done:
    """A run whose policy is registered, too."""
    folder = workplace()
    return Done(folder, shell(folder, "pgexp", "baseline=mean", f"seed={SEED}", *SHORT, "registry.name=pole"))


@pytest.fixture(autouse=True)
def place(trained: Done, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The command's working folder; what the command sets for its process is unset afterwards."""
    monkeypatch.chdir(trained.folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    for setting, value in MLFLOW_SETTINGS.items():
        monkeypatch.setenv(setting, value)
    return trained.folder


@pytest.fixture
def client(trained: Done) -> MlflowClient:
    return connect(f"sqlite:///{trained.folder / 'mlflow.db'}")


def run_id(trained: Done) -> str:
    found: str = trained.store.runs[NAME].info.run_id
    return found


def kept(trained: Done, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((trained.output / "evaluations" / f"{name}.json").read_text())
    return found


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(line.startswith("pgexp-evaluate: ") for line in captured.err.splitlines())
    return captured.err


def greedy_return(weights: dict[str, np.ndarray], episode: int, seed: int) -> float:
    """Play an episode in Gymnasium's own CartPole under a network of NumPy."""
    env = gym.make("CartPole-v1")
    observation, _ = env.reset(seed=episode_seed(SEED, "evaluation", f"after-{seed}", "env", 0, episode))
    total, over = 0.0, False
    while not over:
        hidden = np.maximum(observation.astype(np.float64) @ weights["0.weight"] + weights["0.bias"], 0)
        outputs = hidden @ weights["1.weight"] + weights["1.bias"]
        observation, reward, terminated, truncated, _ = env.step(int(outputs.argmax()))
        total, over = total + float(reward), terminated or truncated
    return total


def test_returns_are_those_of_fresh_episodes_in_gymnasium(trained: Done) -> None:
    assert main([str(trained.output), "episodes=25", "greedy=true", "seed=4"]) == 0
    weights = load_file(trained.output / "policy" / "policy.safetensors")
    report = kept(trained, "25-episodes-greedy-seed-4")
    expected = [greedy_return(weights, episode, seed=4) for episode in range(25)]
    assert report["returns"] == report["lengths"] == expected
    assert report["streams"] == [SEED, "evaluation", "after-4"]
    summary = report["summary"]
    assert isinstance(summary, dict)
    assert summary["return_mean"] == pytest.approx(np.mean(expected))
    assert summary["return_p25"] == pytest.approx(np.quantile(expected, 0.25))


def test_it_tells_a_table_the_streams_and_the_places(trained: Done, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(trained.output), "episodes=8"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = [line.rstrip() for line in captured.out.splitlines()]
    report = kept(trained, "8-episodes-sampled-seed-0")
    steps = report["steps"]
    assert lines[0] == f"CartPole-v1, policy after {steps} steps, sampled, 8 episodes"
    headings = ("mean", "95 % interval", "std", "min", "5 %", "25 %", "50 %", "75 %", "95 %", "max")
    assert [line[1:14].rstrip() for line in lines[3:13]] == [*headings]
    assert max(map(len, lines[:15])) <= 80
    assert "cut by a time limit: 0 of 8" in lines
    assert "The interval is over episodes of this one policy, not over seeds." in lines
    assert f"Streams: ({SEED}, 'evaluation', 'after-0', episode); training draws from none of them." in lines
    assert f"file    {trained.output}/evaluations/8-episodes-sampled-seed-0.json" in lines
    assert lines[-1] == f"MLflow  sqlite:///{trained.folder}/mlflow.db, run {run_id(trained)}"


def test_the_same_command_gives_the_same_and_adds_no_point(trained: Done, client: MlflowClient) -> None:
    path, histories = trained.output / "evaluations" / "6-episodes-sampled-seed-1.json", []
    for _ in range(2):
        assert main([str(trained.output), "episodes=6", "seed=1"]) == 0
        histories.append((path.read_bytes(), client.get_metric_history(run_id(trained), "evaluate/return_mean")))
    assert histories[0] == histories[1]


def test_another_evaluation_is_another_point_at_the_policy_s_steps(trained: Done, client: MlflowClient) -> None:
    for episodes in (5, 7):
        assert main([str(trained.output), f"episodes={episodes}", "seed=9"]) == 0
        report = kept(trained, f"{episodes}-episodes-sampled-seed-9")
        points = client.get_metric_history(run_id(trained), "evaluate/return_mean")
        assert isinstance(report["summary"], dict)
        latest = max(points, key=lambda point: point.timestamp)
        assert (latest.step, latest.value) == (report["steps"], report["summary"]["return_mean"])


def test_one_episode_has_no_interval(trained: Done, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(trained.output), "episodes=1"]) == 0
    out = capsys.readouterr().out
    assert "sampled, 1 episode\n" in out
    assert "interval" not in out.partition("cut by")[0]


def test_films_stand_in_the_folder_and_with_the_run(trained: Done) -> None:
    assert main([str(trained.output), "episodes=3", "video=true"]) == 0
    names = {f"video/3-episodes-sampled-seed-0-episode-0.{kind}" for kind in ("mp4", "gif")}
    assert all((trained.output / name).stat().st_size > 1_000 for name in names)
    files = trained.store.artifacts(NAME)
    assert names | {"evaluations/3-episodes-sampled-seed-0.json"} <= files


@pytest.mark.parametrize("how", ["id", "name/1", "models:/name/1", "models:/name@alias"])
def test_a_run_is_found_by_its_id_or_its_registered_model(
    trained: Done,
    client: MlflowClient,
    how: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(trained.output), "episodes=10"]) == 0
    expected = capsys.readouterr().out.partition("Streams")[0]
    client.set_registered_model_alias("pole", "alias", "1")
    monkeypatch.chdir(tmp_path)
    name = run_id(trained) if how == "id" else how.replace("name", "pole")
    assert main([name, "episodes=10", "--uri", f"sqlite:///{trained.folder}/mlflow.db"]) == 0
    out = capsys.readouterr().out
    assert out.partition("Streams")[0] == expected
    assert out.endswith(f"run {run_id(trained)}\n")
    assert ("file " in out) == (how == "id")
    assert [*tmp_path.iterdir()] == []


def test_where_the_store_is_away_the_folder_has_it(
    trained: Done, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained.output, tmp_path / "run")
    assert main([str(tmp_path / "run"), "episodes=2", "--uri", "http://127.0.0.1:9"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("MLflow  not recorded: http://127.0.0.1:9 can't be read")
    assert last.endswith("; the run's folder has it. The same command records it once the store is there")
    assert (tmp_path / "run" / "evaluations" / "2-episodes-sampled-seed-0.json").is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["episodes=0"], "episodes: given 0; must be a whole number greater than 0"),
        (["episodes=many"], "episodes: given 'many'; must be a whole number"),
        (["episodes=1.5"], "episodes: given '1.5'; must be a whole number"),
        (["greedy=3"], "greedy: given 3; must be true or false"),
        (["seed=-1"], "seed: given -1; must be a whole number at least 0"),
        (["epsodes=3"], "epsodes: unknown key (given 3). Did you mean 'episodes'?"),
        (["render=rgb"], "render: given 'rgb'; must be one of human"),
        (["films"], "films: can't be read as key=value"),
        (["seed=1", "seed=2"], "seed: is given twice"),
        (["video=true", "render=human"], "render: a window is shown, or a film is made"),
        (["render=human"], "render: human opens a window, and there is no screen here (DISPLAY is not set)"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    trained: Done, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert refusal(capsys, str(trained.output), *words).startswith(f"pgexp-evaluate: {told}")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("pole/7", "run: pole/7 can't be read from"),
        ("absent/1", "run: absent/1 can't be read from"),
        ("models:/pole", "run: given 'models:/pole'; a registered model's version is models:/name/3"),
        ("0" * 32, f"run: {'0' * 32} can't be read from"),
        ("nowhere", "run: given 'nowhere'; must be a run's folder"),
        (".", "run: . holds no recorded run"),
    ],
)
def test_what_is_no_run_is_refused(capsys: pytest.CaptureFixture[str], name: str, told: str) -> None:
    assert refusal(capsys, name).startswith(f"pgexp-evaluate: {told}")


def test_without_a_store_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    told = refusal(capsys, "pole/1")
    assert told.startswith("pgexp-evaluate: run: given 'pole/1', which is no folder here, and there is no store at")
    assert [*tmp_path.iterdir()] == []


def test_of_a_run_that_was_stopped_its_last_checkpoint_is_evaluated(
    trained: Done, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finished run's last checkpoint holds its final policy."""
    answers = []
    for taken in ("", "policy", "checkpoint"):
        shutil.copytree(trained.output, run := tmp_path / f"without {taken}")
        if taken:
            shutil.rmtree(run / taken)
        assert main([str(run), "episodes=5", "--uri", "http://127.0.0.1:9"]) == 0
        answers.append(capsys.readouterr().out.partition("Streams")[0])
    assert answers[0] == answers[1] == answers[2]
    shutil.rmtree(tmp_path / "without checkpoint" / "policy")
    assert "holds no last checkpoint" in refusal(capsys, str(tmp_path / "without checkpoint"))


def test_the_best_policy_is_that_of_the_best_evaluation(
    trained: Done, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row for row in SpoolReader(trained.output / "rows.jsonl").read() if isinstance(row, Row)]
    scores = [(row.metrics["evaluation/return_mean"], row.steps) for row in rows if row.metrics.keys() >= EVALUATED]
    best = max(score for score, _ in scores)
    steps = next(steps for score, steps in scores if score == best)
    shutil.copytree(trained.output, tmp_path / "run")
    assert main([str(tmp_path / "run"), "policy=best", "episodes=2", "--uri", "http://127.0.0.1:9"]) == 0
    assert f"best policy after {steps:,} steps" in capsys.readouterr().out
    assert (tmp_path / "run" / "evaluations" / "best-2-episodes-sampled-seed-0.json").is_file()


def test_a_window_shows_the_episodes_one_after_another(
    trained: Done, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setitem(gym.envs.classic_control.CartPoleEnv.metadata, "render_fps", 10_000)
    assert main([str(trained.output), "episodes=2", "greedy=false", "render=human"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "showing episode 0; Ctrl-C ends it",
        "showing episode 1; Ctrl-C ends it",
    ]


@pytest.mark.slow
def test_a_user_s_own_environment_is_found_in_the_working_folder(
    configured: Compose, place: Path, tmp_path: Path
) -> None:
    config = configured("env.id=tests.execution.own.mine:Clock-v0", "network=linear", "baseline=none")
    keep(config, tmp_path / "policy")
    write_config(config, tmp_path)
    described = tmp_path / "policy" / "policy.json"
    described.write_text(described.read_text().replace("tests.execution.own.mine:", "mine:"))
    command = [sys.executable, "-P", "-m", "pgexp.cli.evaluate", tmp_path, "episodes=3", "--uri", "http://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    assert (done.returncode, without_announcement(done.stderr)) == (0, "")
    assert json.loads((tmp_path / "evaluations" / "3-episodes-sampled-seed-0.json").read_text())["lengths"] == [4, 4, 4]


def test_ctrl_c_ends_what_is_shown(trained: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(TrainedEvaluation, "show", interrupt)
    assert main([str(trained.output), "episodes=2", "render=human"]) == 0


def test_ctrl_c_before_the_end_is_told(
    trained: Done, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainedEvaluation, "run", interrupt)
    assert main([str(trained.output), "episodes=41"]) == 130
    assert capsys.readouterr().err == "pgexp-evaluate: interrupted; nothing was recorded\n"
    assert not (trained.output / "evaluations" / "41-episodes-sampled-seed-0.json").exists()


def test_help_is_light_and_tells_the_words() -> None:
    script = (
        f"import sys, pgexp.cli.evaluate as it\ntry: it.main(['-h'])\nfinally: print(*{set(HEAVY)} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *text, loaded = done.stdout.splitlines()
    assert loaded == ""
    told = "\n".join(text)
    assert all(
        f"\n  {word}" in told for word in ("episodes=100", "greedy=true", "seed=0", "video=true", "render=human")
    )
