"""A sweep: its runs in MLflow, its folders, its comparison, and equality of its runs with single runs."""

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Done
from tests.cli.console import shell
from tests.cli.mlflow_store import Store

CONFIGURATIONS = ("baseline=none", "baseline=mean")
SEEDS = {f"{configuration} seed={seed}": configuration for configuration in CONFIGURATIONS for seed in (1, 2)}


@pytest.fixture(scope="module")
def store(sweep: Done) -> Store:
    return sweep.store


@pytest.fixture(scope="module")
def root(store: Store) -> str:
    """The name of the sweep's own run."""
    (name,) = [name for name in store.runs if name not in SEEDS and name not in CONFIGURATIONS]
    return name


def test_sweep_prints_the_number_of_runs(sweep: Done) -> None:
    assert sweep.answer.code == 0
    assert sweep.answer.err == ""
    lines = sweep.answer.out.splitlines()
    assert [line for line in lines if line.startswith("4 of 4 runs done: ")]
    assert f"folder  {sweep.output}" in lines


def test_parents_in_mlflow(store: Store, root: str) -> None:
    assert store.statuses == dict.fromkeys([root, *CONFIGURATIONS, *SEEDS], "FINISHED")
    assert store.parent(root) is None
    assert {name: store.parent(name) for name in CONFIGURATIONS} == dict.fromkeys(CONFIGURATIONS, root)
    assert {name: store.parent(name) for name in SEEDS} == SEEDS


def test_roles_in_mlflow(store: Store, root: str) -> None:
    roles = {name: run.data.tags["pgexp.role"] for name, run in store.runs.items()}
    assert roles == (
        {root: "sweep"} | dict.fromkeys(CONFIGURATIONS, "configuration") | dict.fromkeys(SEEDS, "run")
    )  # fmt: skip
    assert len({run.data.tags["pgexp.sweep"] for run in store.runs.values()}) == 1


def test_name_of_a_sweep(root: str) -> None:
    assert root.endswith("CartPole-v1: 2 configurations, 4 runs")


def test_run_keys_and_configuration_keys(store: Store) -> None:
    tags = {name: store.runs[name].data.tags for name in SEEDS}
    assert len({tag["pgexp.key"] for tag in tags.values()}) == 4
    for configuration in CONFIGURATIONS:
        keys = {tags[name]["pgexp.configuration"] for name, above in SEEDS.items() if above == configuration}
        assert keys == {store.runs[configuration].data.tags["pgexp.configuration"]}


def test_configuration_has_the_shared_params(store: Store) -> None:
    params = store.runs["baseline=mean"].data.params
    assert params["baseline"] == "mean"
    assert "seed" not in params


def test_each_job_has_a_folder_with_its_config(sweep: Done) -> None:
    jobs = []
    for number in range(4):
        folder = sweep.job(number)
        config = yaml.safe_load((folder / ".hydra" / "config.yaml").read_text())
        jobs.append((config["baseline"]["_target_"].rpartition(".")[2], config["seed"]))
        assert {path.name for path in (folder / ".hydra").iterdir()} == {"config.yaml", "hydra.yaml", "overrides.yaml"}
        assert {path.name for path in folder.iterdir()} >= {"metrics.parquet", "policy", "rows.jsonl", "run.log"}
    assert jobs == [("NoBaseline", 1), ("NoBaseline", 2), ("BatchMean", 1), ("BatchMean", 2)]


def test_jobs_are_numbered(sweep: Done) -> None:
    settings = [yaml.safe_load((sweep.job(n) / ".hydra" / "hydra.yaml").read_text()) for n in range(4)]
    assert [setting["hydra"]["job"]["num"] for setting in settings] == [0, 1, 2, 3]


def test_metrics_equal_those_of_a_single_run(sweep: Done, single: Done) -> None:
    alone, job = single.output, sweep.job(3)
    for file in ("metrics.parquet", "policy/policy.safetensors"):
        assert (job / file).read_bytes() == (alone / file).read_bytes()
    assert (job / "metrics.parquet").read_bytes() != (sweep.job(2) / "metrics.parquet").read_bytes()


def test_key_equals_that_of_a_single_run(sweep: Done, single: Done) -> None:
    job, alone = (json.loads((path / "run.json").read_text()) for path in (sweep.job(3), single.output))
    assert (job["key"], job["configuration"]) == (alone["key"], alone["configuration"])
    assert job["record"] != alone["record"]


@pytest.mark.slow
def test_compare_lists_configurations_and_seeds(sweep: Done, tmp_path: Path) -> None:
    answer = shell(sweep.folder, "pgexp-compare", "--out", str(tmp_path))
    assert (answer.code, answer.err) == (0, "")
    lines = [line.split()[:2] for line in answer.out.splitlines() if line.startswith("baseline=")]
    assert lines[:2] == [["baseline=mean", "2"], ["baseline=none", "2"]]
