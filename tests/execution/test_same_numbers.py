"""The numbers of a run depend on its identity only.

They do not depend on the runs that a worker trains before it, on interruptions, evaluations, checkpoints, tracking or
vectorization.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import tests.probes  # noqa: F401 - registers the probes
from pgexp.execution.experiment import open_experiment
from pgexp.execution.jobs import Job
from pgexp.execution.run_writer import read_state
from pgexp.runs.run_log import Row, RunLogReader
from pgexp.schema.config import Option, RunConfig
from pgexp.schema.identity import run_key
from tests.conftest import Compose
from tests.execution.conftest import untimed
from tests.recorded_runs import train as train_job
from tests.tiers import tiered

SHORT = ("budget.steps=600", "network.widths=[8]", "evaluation.every=200", "evaluation.episodes=3")
FINAL = ("evaluation.final_episodes=3",)
FEW = ("env.max_episode_steps=20", "algorithm.batch.episodes=4")
SEGMENTS = ("algorithm.batch.episodes=null", "algorithm.batch.steps=16", "env.num_envs=3", "budget.steps=300")


@dataclass(frozen=True)
class Numbers:
    """Numbers of a run: its rows without timings by phase, and its policy."""

    training: list[tuple[int, dict[str, float]]]
    evaluations: list[tuple[int, dict[str, float]]]
    policy: bytes


def numbers(folder: Path) -> Numbers:
    """Read a finished run's numbers."""
    rows = [item for item in RunLogReader(folder / "rows.jsonl").read() if isinstance(item, Row)]
    found: dict[bool, list[tuple[int, dict[str, float]]]] = {True: [], False: []}
    for row in rows:
        found["train/truncated_episodes" in row.metrics or "loss/policy" in row.metrics].append(
            (row.steps, untimed(row.metrics))
        )
    return Numbers(found[True], found[False], (folder / "policy" / "policy.safetensors").read_bytes())


Trains = Callable[..., list[Numbers]]


@pytest.fixture
def trained(tmp_path: Path) -> Trains:
    """Return a function that trains runs one after the other, and returns each one's numbers."""

    def train(*configs: RunConfig) -> list[Numbers]:
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        jobs = [Job(config, place / str(number)) for number, config in enumerate(configs)]
        for job in jobs:
            train_job(job)
        return [numbers(job.folder) for job in jobs]

    return train


CASES: dict[str, tuple[str, ...]] = {
    "compiled": ("baseline=value",),
    "float64": ("dtype=float64", "baseline=leave_one_out"),
    "segments": (*SEGMENTS, "baseline=shared_value", "env.normalize_observations=true"),
    "recurrent": (*SEGMENTS, "network=gru", "network.units=4", "baseline=value"),
    "torch": ("env=mountaincar_continuous", *FEW, "head=beta", "baseline=mean"),
    "stepped": ("env=frozenlake", "baseline=running_mean"),
    "normal noise": ("env=pendulum", *FEW, "head=squashed_gaussian", "baseline=linear"),
}


@pytest.mark.parametrize("case", tiered(CASES, lambda case: case in ("compiled", "recurrent", "torch")))
def test_neither_other_runs_nor_their_order_matter(configured: Compose, trained: Trains, case: str) -> None:
    others = [
        replace(
            configured(*SHORT, *FINAL, "baseline=value", "seed=8"), network=Option("tests.user_networks.Residual", {})
        ),
        configured(*SHORT, *FINAL, "env=acrobot", "env.max_episode_steps=50", "baseline=greedy_rollout", "seed=5"),
    ]
    run = configured(*SHORT, *FINAL, "seed=5", *CASES[case])
    (alone,) = trained(run)
    assert len(alone.training) > 2
    assert len(alone.evaluations) >= 2
    assert trained(*others, run)[2] == alone
    assert trained(run, run, *others)[1] == alone


def test_another_seed_gives_other_numbers(configured: Compose, trained: Trains) -> None:
    runs = [configured(*SHORT, *FINAL, f"seed={seed}", "baseline=mean") for seed in (5, 6)]
    one, other = trained(*runs)
    assert one.training != other.training
    assert one.policy != other.policy


@pytest.mark.parametrize("case", tiered(CASES, lambda case: case in ("segments", "stepped")))
def test_evaluations_change_nothing_else(configured: Compose, trained: Trains, case: str) -> None:
    config = configured(*SHORT, *FINAL, *CASES[case])
    never = replace(config, evaluation=replace(config.evaluation, every=None, final_episodes=0))
    often = replace(config, evaluation=replace(config.evaluation, every=50, episodes=7, num_envs=2))
    with_few, without, with_many = trained(config, never, often)
    assert without.evaluations == []
    assert len(with_many.evaluations) > len(with_few.evaluations)
    assert with_few.training == without.training == with_many.training
    assert with_few.policy == without.policy == with_many.policy


@pytest.mark.parametrize(
    "overrides",
    [
        ("checkpoint.seconds=0",),
        ("tracking.experiment=other", "tracking.max_points=3"),
        ("registry.name=mine",),
        ("env.vectorization=compiled",),
        ("env.vectorization=sync",),
        pytest.param(("env.vectorization=async",), marks=pytest.mark.slow),
    ],
    ids=lambda overrides: overrides[0],
)
def test_keys_outside_the_identity_change_no_number(
    configured: Compose, trained: Trains, overrides: tuple[str, ...]
) -> None:
    usual = configured(*SHORT, *FINAL, *SEGMENTS, "baseline=value")
    other = configured(*SHORT, *FINAL, *SEGMENTS, "baseline=value", *overrides)
    assert run_key(usual) == run_key(other)
    one, two = trained(usual, other)
    assert one == two


def resumed(config: RunConfig, folder: Path, stops: Sequence[int]) -> list[np.ndarray]:
    """Train a run to its end, with stops after these numbers of updates.

    Return per stop the times of the open episodes, [N].
    """
    times = []
    job = Job(config, folder)
    for stop in stops:
        experiment = open_experiment(job)
        assert experiment is not None
        with experiment:
            next(islice(experiment, stop - 1, None))
        state = read_state(folder, run_key(config))
        assert state is not None
        times.append(np.array(state.environments["time"]))
    train_job(job)
    return times


RESUMED: dict[str, tuple[str, ...]] = {
    **CASES,
    "masked dynamics": (
        *(*SEGMENTS, "env.id=Levers", "env.dynamics={_target_:tests.user_parts.Levers}", "baseline=value"),
        "algorithm.batch.steps=7",
    ),
    "random dynamics": (
        *(*SEGMENTS, "env.id=Lamps", "env.dynamics={_target_:analysis.bits.switches.Switches}", "baseline=value"),
        "algorithm.batch.steps=7",
    ),
    "acrobot": (*SEGMENTS, "env=acrobot", "baseline=value", "algorithm.return_type=lambda_return"),
    "mountain car": (*SEGMENTS, "env=mountaincar", "baseline=shared_value"),
    "pendulum, lstm": (*SEGMENTS, "env=pendulum", "network=lstm", "network.units=3", "baseline=shared_value"),
    "stepped segments": (*SEGMENTS, "env.vectorization=sync", "baseline=value"),
    "pictures": (*SEGMENTS, "env.id=pgexp-probe/Bars-v0", "network=cnn_small", "network.channels=first"),
    "long episodes": (*SEGMENTS, "env.id=pgexp-probe/Walk-v0", "network=gru", "baseline=value"),
    "natural": (*SEGMENTS, "algorithm=natural", "optimizer=sgd", "baseline=value"),
    "greedy rollout": ("baseline=greedy_rollout", "optimizer=rmsprop"),
}
MID_EPISODE = {name for name in RESUMED if SEGMENTS[1] in RESUMED[name] or name.endswith("dynamics")} - {"pictures"}
FAST = (
    *("compiled", "segments", "torch", "masked dynamics", "random dynamics"),
    *("pendulum, lstm", "stepped segments", "greedy rollout"),
)
OWN_KEYS = ("network=cnn_small", "network=lstm", "network=gru")  # networks without `widths`, or with others


@pytest.mark.parametrize("case", tiered(RESUMED, lambda case: case in FAST))
def test_interruptions_do_not_matter(configured: Compose, tmp_path: Path, case: str) -> None:
    short = [each for each in SHORT if "widths" not in each or not {*OWN_KEYS} & {*RESUMED[case]}]
    config = configured(*short, *FINAL, "seed=5", *RESUMED[case])
    train_job(Job(config, tmp_path / "whole"))
    times = resumed(config, tmp_path / "stopped", (1, 2, 1))
    assert numbers(tmp_path / "stopped") == numbers(tmp_path / "whole")
    assert (case in MID_EPISODE) == any((time > 0).any() for time in times)
