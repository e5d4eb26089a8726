"""Manifests: names, keys, tags, user code and tracking of runs."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pgexp.execution.jobs import Job
from pgexp.execution.manifest import make_manifest, user_modules, write_manifest
from pgexp.execution.validation import validate
from pgexp.runs import provenance
from pgexp.runs.manifest import SweepManifest
from pgexp.schema.config import Env, Option, RunConfig
from pgexp.schema.errors import UserError
from tests.conftest import Compose
from tests.recorded_runs import SETTINGS

MODULE = "tests.execution.own.mine"
FILE = Path(__file__).parent / "own" / "mine.py"
SQUEEZE = Option(f"{MODULE}.Squeeze", {"units": 3})
OWN_OPTIONS = {
    "baseline": {"baseline": Option(f"{MODULE}.Level", {"level": 0.5})},
    "network": {"network": SQUEEZE},
    "a network within a baseline": {"baseline": Option("pgexp.baselines.value.ValueNetwork", {"network": SQUEEZE})},
    "environment": {"env": Env(f"{MODULE}:Clock-v0")},
    "dynamics": {"env": Env("my lake", dynamics=Option(f"{MODULE}.Lake", {"slip": 0.5}))},
}


def recorded(configs: Sequence[RunConfig], folder: Path, sweep: bool = True) -> SweepManifest:
    jobs = [Job(config, folder / str(index) if sweep else folder) for index, config in enumerate(configs)]
    settings = SETTINGS if sweep else None
    return make_manifest(jobs, validate(configs), folder, settings, provenance.collect(folder, {}))


def test_runs_are_in_the_order_of_the_jobs(configured: Compose, tmp_path: Path) -> None:
    configs = [configured(f"network={name}", f"seed={seed}") for seed in (1, 2) for name in ("mlp", "linear")]
    record = recorded(configs, tmp_path)
    assert [run.name for run in record.runs] == [
        "network=mlp seed=1",
        "network=linear seed=1",
        "network=mlp seed=2",
        "network=linear seed=2",
    ]
    assert [run.folder for run in record.runs] == ["0", "1", "2", "3"]
    assert [run.seed for run in record.runs] == [1, 1, 2, 2]
    assert len({run.key for run in record.runs}) == 4
    assert len({run.configuration for run in record.runs}) == 2


def test_a_sweep_is_named_by_its_environments_and_sizes(configured: Compose, tmp_path: Path) -> None:
    record = recorded([configured(f"env={env}") for env in ("cartpole", "acrobot", "cartpole")], tmp_path)
    assert record.name.endswith(" CartPole-v1, Acrobot-v1: 2 configurations, 3 runs")
    assert record.sweep


def test_fresh_seeds_are_tagged_with_the_sweep_of_the_choice(configured: Compose, tmp_path: Path) -> None:
    jobs = [Job(configured("seed=100"), tmp_path / "0")]
    fresh = replace(SETTINGS, sweep=replace(SETTINGS.sweep, selected_from="chooser"))
    records = [
        make_manifest(
            jobs, validate([job.config for job in jobs]), tmp_path, settings, provenance.collect(tmp_path, {})
        )
        for settings in (SETTINGS, fresh)
    ]
    assert [record.tags.get("pgexp.selected_from") for record in records] == [None, "chooser"]
    assert records[0].runs[0].key == records[1].runs[0].key, "the tag changes no number"


def test_a_single_run_has_its_own_manifest(configured: Compose, tmp_path: Path) -> None:
    record = recorded([configured("seed=3")], tmp_path, sweep=False)
    assert (record.sweep, record.name) == (None, "CartPole-v1 value seed=3")
    assert [run.folder for run in record.runs] == ["."]


@pytest.mark.parametrize(
    ("overrides", "biased"),
    [
        (("algorithm.gamma=1.0",), None),
        ((), "discount_states=false"),
        (("baseline=mean", "algorithm.discount_states=true"), "baseline BatchMean"),
        (("algorithm.advantage_scale=std", "algorithm.gamma=1.0"), "advantage_scale=std"),
        (("algorithm.time_limit=bootstrap", "algorithm.gamma=1.0"), "time_limit=bootstrap"),
    ],
)
def test_biased_choices_are_tagged(
    configured: Compose, tmp_path: Path, overrides: tuple[str, ...], biased: str | None
) -> None:
    record = recorded([configured(*overrides)], tmp_path, sweep=False)
    assert record.runs[0].tags.get("pgexp.biased") == biased


def test_the_reward_threshold_is_tagged(configured: Compose, tmp_path: Path) -> None:
    record = recorded([configured(), configured(f"env.id={MODULE}:Clock-v0")], tmp_path)
    assert [run.tags.get("pgexp.reward_threshold") for run in record.runs] == ["475.0", None]


@pytest.mark.parametrize(
    ("configured_uri", "uri"),
    [
        ("sqlite:///some/mlflow.db", "sqlite:///{here}/some/mlflow.db"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("http://tracking:5000", "http://tracking:5000"),
    ],
)
def test_a_relative_database_path_is_made_absolute(
    configured: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured_uri: str, uri: str
) -> None:
    monkeypatch.chdir(tmp_path)
    record = recorded([configured(f"tracking.uri={configured_uri}")], tmp_path, sweep=False)
    assert record.tracking.uri == uri.format(here=tmp_path)


@pytest.mark.parametrize("key", ["uri", "experiment"])
def test_jobs_of_a_sweep_are_tracked_in_one_place(configured: Compose, tmp_path: Path, key: str) -> None:
    configs = [configured(f"tracking.{key}={name}") for name in ("one", "other")]
    with pytest.raises(UserError, match=r"^tracking: "):
        recorded(configs, tmp_path)


def test_options_of_pgexp_and_torch_are_no_user_modules(configured: Compose) -> None:
    assert user_modules([configured(), configured("optimizer=sgd", "network=linear")]) == {}


@pytest.mark.parametrize("kind", OWN_OPTIONS)
def test_user_modules_are_found(configured: Compose, kind: str) -> None:
    config = configured()
    found = user_modules([config, replace(config, **OWN_OPTIONS[kind])])
    assert found == {"tests/__init__.py": FILE.parents[2] / "__init__.py", "tests/execution/own/mine.py": FILE}


@pytest.mark.parametrize("kind", ["baseline", "dynamics"])
def test_changing_user_code_changes_its_hash(configured: Compose, tmp_path: Path, kind: str) -> None:
    modules = user_modules([replace(configured(), **OWN_OPTIONS[kind])])
    before = provenance.collect(tmp_path, modules).code
    copied = Path(shutil.copy(FILE, tmp_path))
    modules["tests/execution/own/mine.py"] = copied
    assert provenance.collect(tmp_path, modules).code == before
    copied.write_text(FILE.read_text() + "# Changed.\n")
    assert provenance.collect(tmp_path, modules).code != before


def test_dynamics_without_an_own_module_add_none(configured: Compose) -> None:
    shipped = Option("pgexp.envs.compiled.cartpole.CartPole", {})
    assert user_modules([replace(configured(), env=Env("my pole", dynamics=shipped))]) == {}


def test_the_module_of_own_dynamics_is_in_the_runs_folder(
    configured: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lakes.py").write_text(LAKES)
    monkeypatch.syspath_prepend(tmp_path)
    config = configured("baseline=none", "env.id=my lake", "env.dynamics={_target_:lakes.Lake,slip:0.5}")
    (job,) = [Job(config, tmp_path / "run")]
    record = write_manifest([job], validate([config]), job.folder, None)
    assert provenance.read(job.folder).modules["lakes.py"] == LAKES
    assert record.runs[0].params["env.dynamics.slip"] == 0.5
    assert record.runs[0].params["env.id"] == "my lake"


LAKES = """
import numpy as np
from gymnasium.spaces import Box, Discrete
from pgexp.envs.compiled.dynamics import TERMINATED, Dynamics


class Lake(Dynamics):
    state_size = 1
    observation_space = Box(0.0, 1.0, (1,), np.float64)
    action_space = Discrete(2)

    def __init__(self, slip: float) -> None:
        self.parameters = [slip]

    @staticmethod
    def reset(state, rng, parameters):
        state[0] = parameters[0]

    @staticmethod
    def step(state, action, rng, parameters, reward):
        reward[0] = action[0]
        return TERMINATED

    @staticmethod
    def observe(state, parameters, observation, mask):
        observation[0] = state[0]
"""
