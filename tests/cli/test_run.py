"""A single run: its output, its folder and its MLflow run."""

import json
import re
from pathlib import Path

import imageio.v2 as imageio
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.numpy import load_file

import pgexp
from pgexp.runs.provenance import hash_code
from pgexp.runs.run_log import End, Row, RunLogReader
from tests.cli.conftest import CLOCK, Done, git
from tests.cli.console import Server

NAME = "CartPole-v1 mean seed=2"
KEY_LENGTH = 16
OF_A_CHECKOUT = {"provenance/pgexp.json", "provenance/pgexp.diff"}  # the second if there are uncommitted changes


@pytest.fixture(scope="module")
def rows(single: Done) -> list[Row]:
    return [item for item in RunLogReader(single.output / "rows.jsonl").read() if isinstance(item, Row)]


def columns(path: Path) -> dict[str, list[float | None]]:
    return pq.read_table(path).to_pydict()


def test_each_final_episode_is_printed(single: Done, rows: list[Row]) -> None:
    assert single.answer.code == 0
    assert single.answer.err == ""
    lines = single.answer.out.splitlines()
    returns = [float(line.split()[3]) for line in lines if line.startswith("episode ")]
    assert len(returns) == 3
    final = rows[-1].metrics
    assert sum(returns) / 3 == pytest.approx(final["final/return_mean"])
    assert (min(returns), max(returns)) == (final["final/return_min"], final["final/return_max"])


def test_final_evaluation_is_summarized_in_one_line(single: Done) -> None:
    summary = rf"{NAME}: final evaluation, 3 episodes: mean return [\d.]+, from [\d.]+ to [\d.]+"
    assert [line for line in single.answer.out.splitlines() if re.fullmatch(summary, line)]


def test_places_of_the_record_are_printed(single: Done) -> None:
    lines = single.answer.out.splitlines()
    assert f"folder  {single.output}" in lines
    assert f"MLflow  sqlite:///{single.folder}/mlflow.db, experiment pgexp" in lines


def test_files_of_a_run_folder(single: Done) -> None:
    files = {path.relative_to(single.output).as_posix() for path in single.output.rglob("*") if path.is_file()}
    assert files - OF_A_CHECKOUT == {
        ".hydra/config.yaml",
        ".hydra/hydra.yaml",
        ".hydra/overrides.yaml",
        ".lock",
        ".synced",
        ".exporter.lock",
        "checkpoint/best.safetensors",
        "checkpoint/last.safetensors",
        "config.json",
        "metrics.parquet",
        "policy/policy.json",
        "policy/policy.safetensors",
        "provenance/code.zip",
        "provenance/cost.json",
        "provenance/git.diff",
        "provenance/git.json",
        "provenance/machine.json",
        "provenance/origin.json",
        "provenance/packages.txt",
        "provenance/requirements.lock",
        "provenance/requirements.txt",
        "manifest.json",
        "rows.jsonl",
        "run.json",
        "run.log",
        "exporter.log",
        "timings.parquet",
        "video/final-episode-0.gif",
        "video/final-episode-0.mp4",
    }


def test_composed_config_is_kept(single: Done) -> None:
    config = yaml.safe_load((single.output / ".hydra" / "config.yaml").read_text())
    assert (config["seed"], config["network"]["widths"], config["budget"]["steps"]) == (2, [8], 600)
    assert config["baseline"] == {"_target_": "pgexp.baselines.mean.BatchMean"}
    assert "baseline=mean" in yaml.safe_load((single.output / ".hydra" / "overrides.yaml").read_text())


def test_run_log_ends_with_the_status(single: Done) -> None:
    *rows, end = RunLogReader(single.output / "rows.jsonl").read()
    assert isinstance(end, End)
    assert (end.status, end.reason) == ("FINISHED", "")
    assert not any(isinstance(row, End) for row in rows)


def test_tables_have_all_rows_and_separate_timings(single: Done, rows: list[Row]) -> None:
    metrics = columns(single.output / "metrics.parquet")
    timings = columns(single.output / "timings.parquet")
    assert metrics["steps"] == timings["steps"] == [row.steps for row in rows]
    assert set(timings) == {"steps", "time", "timing/steps_per_second"}
    assert not any(name.startswith("timing/") for name in metrics)
    assert metrics["train/return_mean"] == [row.metrics.get("train/return_mean") for row in rows]


def test_training_stops_at_the_budget(rows: list[Row]) -> None:
    trained = [row.steps for row in rows if "progress/updates" in row.metrics]
    assert trained[-2] < 600 <= trained[-1]
    assert rows[-1].progress == 1


def test_policy_has_the_configured_shapes(single: Done, rows: list[Row]) -> None:
    shapes = {name: tensor.shape for name, tensor in load_file(single.output / "policy" / "policy.safetensors").items()}
    assert shapes == {"0.weight": (4, 8), "0.bias": (8,), "1.weight": (8, 2), "1.bias": (2,)}
    description = json.loads((single.output / "policy" / "policy.json").read_text())
    assert description["steps"] == rows[-1].steps
    assert description["env"]["id"] == "CartPole-v1"
    assert description["observation_shape"] == [4]
    assert (description["action_space"]["kind"], description["action_space"]["counts"]) == ("discrete", [2])


def test_text_log_of_a_run(single: Done) -> None:
    messages = [line.partition("  ")[2] for line in (single.output / "run.log").read_text().splitlines()]
    assert messages[0] == "training CartPole-v1 with seed 2"
    assert messages[-1] == "finished"
    assert [line.partition(" at ")[0] for line in messages[1:-1]] == ["evaluation", "evaluation", "final"]


def test_video_has_a_frame_per_step_and_one_more(single: Done) -> None:
    first = next(line for line in single.answer.out.splitlines() if line.startswith("episode   0"))
    with imageio.get_reader(single.output / "video" / "final-episode-0.mp4") as film:
        assert film.count_frames() == int(first.split()[-1]) + 1


def test_status_in_mlflow(single: Done) -> None:
    assert single.store.statuses == {NAME: "FINISHED"}


def test_params_in_mlflow(single: Done) -> None:
    params = single.store.runs[NAME].data.params
    expected = {
        "env": "cartpole",
        "env.id": "CartPole-v1",
        "env.num_envs": "8",
        "network": "mlp",
        "network.widths": "[8]",
        "optimizer": "adam",
        "optimizer.lr": "0.005",
        "schedule": "linear",
        "schedule.final": "0.0",
        "baseline": "mean",
        "algorithm": "reinforce",
        "algorithm.gamma": "0.99",
        "algorithm.batch.episodes": "8",
        "budget.steps": "600",
        "evaluation.every": "300",
        "seed": "2",
        "dtype": "float32",
    }
    assert params.items() >= expected.items()
    assert not [name for name in params if name.startswith(("tracking", "hydra", "evaluation.video"))]


def test_identity_tags_in_mlflow(single: Done) -> None:
    tags = single.store.runs[NAME].data.tags
    record = json.loads((single.output / "run.json").read_text())
    assert tags["pgexp.role"] == "run"
    assert tags["pgexp.record"] == record["record"]
    assert len(tags["pgexp.key"]) == len(tags["pgexp.configuration"]) == KEY_LENGTH
    assert tags["pgexp.key"] != tags["pgexp.configuration"]
    assert tags["pgexp.configuration_name"] == "CartPole-v1 mean"
    assert tags["pgexp.folder"] == str(single.output)
    assert tags["pgexp.reward_threshold"] == "475.0"
    assert tags["pgexp.biased"] == "baseline BatchMean, discount_states=false"
    assert "pgexp.sweep" not in tags


def test_code_tags_in_mlflow(single: Done) -> None:
    tags = single.store.runs[NAME].data.tags
    assert tags["pgexp.code"] == hash_code(Path(pgexp.__file__).parent, {})
    assert tags["mlflow.source.git.commit"] == git(single.folder, "rev-parse", "HEAD")
    assert tags["pgexp.git_dirty"] == "true"


def test_metrics_in_mlflow(single: Done, rows: list[Row]) -> None:
    for metric in ("train/return_mean", "evaluation/return_mean", "final/return_mean"):
        written = [(row.steps, row.metrics[metric]) for row in rows if metric in row.metrics]
        assert single.store.history(NAME, metric) == written != []
    assert len(single.store.history(NAME, "timing/steps_per_second")) == 1, "other metrics have their last value only"


def test_artifacts_in_mlflow(single: Done) -> None:
    assert single.store.artifacts(NAME) - OF_A_CHECKOUT == {
        "config.json",
        "config/config.yaml",
        "config/hydra.yaml",
        "config/overrides.yaml",
        "metrics.parquet",
        "policy/policy.json",
        "policy/policy.safetensors",
        "provenance/code.zip",
        "provenance/cost.json",
        "provenance/git.diff",
        "provenance/git.json",
        "provenance/machine.json",
        "provenance/origin.json",
        "provenance/packages.txt",
        "provenance/requirements.lock",
        "provenance/requirements.txt",
        "run.json",
        "run.log",
        "timings.parquet",
        "video/final-episode-0.gif",
        "video/final-episode-0.mp4",
    }


def test_second_run_in_a_folder_is_refused(single: Done, ready: Server) -> None:
    before = contents(single.output)
    answer = ready.run(single.folder, *CLOCK, "budget.steps=32", f"hydra.run.dir={single.output}", "seed=9")
    assert answer.mistake.startswith("hydra.run.dir: ")
    assert contents(single.output) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
