"""A run in a pack is the same run alone, bit for bit: every row of metrics, every parameter, over a whole training."""

from dataclasses import replace

import pytest
import torch

import tests.probes  # noqa: F401 - registers the probes
from pgexp.execution.assembly import assemble
from pgexp.learning.evaluator import Subject
from pgexp.learning.trainer import train
from pgexp.schema.config import RunConfig
from tests.conftest import CONF, Compose

BASELINES = sorted(path.stem for path in (CONF / "baseline").glob("*.yaml"))
OPTIMIZERS = sorted(path.stem for path in (CONF / "optimizer").glob("*.yaml"))
SHORT = ("budget.steps=1500", "network.widths=[16,16]", "evaluation.every=null", "evaluation.final_episodes=4")

History = tuple[list[dict[str, float]], dict[str, torch.Tensor], list[float]]


def trained(configs: list[RunConfig]) -> list[History]:
    """Train a pack; return each run's rows, final parameters and evaluation."""
    pack = assemble(configs)
    rows: list[list[dict[str, float]]] = [[] for _ in configs]
    for updates in train(pack.collector, pack.stacked, pack.learners):
        for update in updates:
            assert update.failure is None
            rows[update.run].append(update.metrics)
    subjects = [Subject(config.seed, "final") for config in configs]
    outcomes = pack.evaluator.evaluate(pack.stacked, subjects, 4, greedy=False)
    pack.close()
    parameters = [{name: tensor[run] for name, tensor in pack.stacked.items()} for run in range(len(configs))]
    return [
        (rows[run], parameters[run], outcomes[run].returns.tolist() + outcomes[run].lengths.tolist())
        for run in range(len(configs))
    ]


def assert_same(a: History, b: History) -> None:
    assert a[0] == b[0]
    assert a[1].keys() == b[1].keys()
    assert all(torch.equal(a[1][name], b[1][name]) for name in a[1])
    assert a[2] == b[2]


def assert_packing_never_shows(config: RunConfig, sizes: tuple[int, ...] = (2, 5)) -> None:
    """Hold runs of packs, the first, the last and one between, to the same runs alone."""
    alone = {}
    for size in sizes:
        seeds = [3 + 7 * run for run in range(size)]
        pack = trained([replace(config, seed=seed) for seed in seeds])
        for run in {0, size // 2, size - 1}:
            if seeds[run] not in alone:
                alone[seeds[run]] = trained([replace(config, seed=seeds[run])])[0]
            assert_same(pack[run], alone[seeds[run]])


@pytest.mark.parametrize("baseline", BASELINES)
def test_row_of_a_pack_equals_the_run_alone(configured: Compose, baseline: str) -> None:
    assert_packing_never_shows(configured(f"baseline={baseline}", *SHORT), (2, 5, 32))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_keeps_the_bits(configured: Compose, optimizer: str) -> None:
    assert_packing_never_shows(configured(f"optimizer={optimizer}", "baseline=leave_one_out", *SHORT), (2, 5, 32))


@pytest.mark.parametrize(
    "overrides",
    [
        ("network.activation=tanh",),
        ("network.activation=leaky_relu", "dtype=float64"),
        ("network=linear", "network.initialization=xavier"),
        ("network.widths=[1]",),
        ("network.widths=[1,3]", "algorithm.batch.episodes=1", "baseline=none"),
        ("algorithm.batch.episodes=3", "algorithm.credit=total_return", "baseline=mean"),
        ("algorithm.batch.episodes=null", "algorithm.batch.steps=32", "env.slots=4"),
        ("algorithm.batch.episodes=null", "algorithm.batch.steps=32", "env.slots=1", "network.widths=[5]"),
        ("env=acrobot", "algorithm.batch.episodes=1", "env.max_episode_steps=60", "baseline=none"),
        ("env=mountaincar", "algorithm.batch.episodes=2", "algorithm.time_limit=bootstrap"),
        ("algorithm.advantage_scale=std", "algorithm.entropy_coefficient=0.01", "algorithm.max_grad_norm=0.5"),
        ("algorithm.discount_states=true", "schedule=cosine"),
    ],
    ids=lambda overrides: " ".join(overrides),
)
def test_every_shape_and_setting_keeps_the_bits(configured: Compose, overrides: tuple[str, ...]) -> None:
    config = configured("baseline=value", SHORT[0], *SHORT[2:], *overrides)
    assert_packing_never_shows(config)


SEGMENTS = ("algorithm.batch.episodes=null", "algorithm.batch.steps=16", "env.slots=2", "budget.steps=200")
CONTINUOUS = ("env=pendulum", "env.max_episode_steps=20", "budget.steps=200", "algorithm.batch.episodes=2")


@pytest.mark.parametrize(
    "overrides",
    [
        (*CONTINUOUS, "head=gaussian"),
        (*CONTINUOUS, "head=gaussian", "head.std=network", "head.bounds=tanh", "dtype=float64"),
        (*CONTINUOUS, "head=squashed_gaussian"),
        (*CONTINUOUS, "head=beta"),
        (*SEGMENTS, "env=mountaincar_continuous", "env.normalize_observations=true", "algorithm.return_scale=std"),
        (*SEGMENTS, "env.id=pgexp-probe/Switches-v0", "baseline=mean", "algorithm.open_tail=drop"),
        (*SEGMENTS, "env.id=pgexp-probe/Dials-v0"),
        (*SEGMENTS, "network=gru"),
        (*SEGMENTS, "network=lstm", "network.units=1", "baseline=shared_value", "dtype=float64"),
        (*SEGMENTS, "network.layer_norm=true", "network.activation=tanh", "baseline=shared_value"),
        (*SEGMENTS, "env.id=pgexp-probe/Bars-v0", "network=cnn_small", "network.channels=first"),
        (*SEGMENTS, "env=frozenlake", "network=linear", "network.bias=false"),
        (*SEGMENTS, "env=blackjack", "algorithm.credit=n_step_return"),
        (*SEGMENTS, "env=lunarlander", "algorithm.credit=lambda_return"),
        (*SEGMENTS, "env=bipedalwalker", "env.vectorization=async"),
        (*SEGMENTS, "env=halfcheetah_v4", "env.normalize_observations=true", "algorithm.time_limit=bootstrap"),
        (*SEGMENTS, "env.wrappers=[{_target_:gymnasium.wrappers.FrameStackObservation,stack_size:2}]"),
        (*SEGMENTS, "algorithm=natural", "optimizer=sgd", "algorithm.direction.exact_up_to=0"),
        (*CONTINUOUS, "algorithm=natural", "optimizer=sgd", "optimizer.lr=1", "network.widths=[8]", "baseline=mean"),
        ("network=linear", "algorithm=natural", "optimizer=sgd", "diagnostics=full"),
        ("diagnostics=off", "algorithm.reward_clip=0.5", "algorithm.advantage_scale=episode_std", "schedule=step"),
    ],
    ids=lambda overrides: " ".join(overrides),
)
def test_every_ingredient_keeps_the_bits(configured: Compose, overrides: tuple[str, ...]) -> None:
    short = ("budget.steps=400", "evaluation.every=null", "evaluation.final_episodes=4", "evaluation.slots=4")
    assert_packing_never_shows(configured(*short, *overrides))


def test_runs_of_one_pack_may_differ_in_all_but_shape(configured: Compose) -> None:
    configs = [
        configured(*SHORT, "seed=1", "baseline=none", "optimizer.lr=0.01"),
        configured(*SHORT, "seed=1", "baseline=value", "optimizer=sgd", "budget.steps=700"),
        configured(*SHORT, "seed=2", "baseline=mean", "algorithm.gamma=0.9", "algorithm.entropy_coefficient=0.1"),
        configured(*SHORT, "seed=9", "baseline=leave_one_out", "schedule=constant"),
    ]
    for packed, config in zip(trained(configs), configs, strict=True):
        assert_same(packed, trained([config])[0])


def test_the_same_run_twice_is_the_same_and_another_seed_is_not(configured: Compose) -> None:
    config = configured(*SHORT, "baseline=mean")
    first = trained([config])[0]
    assert_same(first, trained([config])[0])
    assert first[0] != trained([replace(config, seed=config.seed + 1)])[0][0]
