"""Training on the probes finds the best action, which is known, with each baseline, from fixed seeds."""

from collections.abc import Sequence

import pytest
import torch

from pgexp.algorithms.evaluator import EvaluationKey
from tests.algorithms.conftest import MakeRun
from tests.conftest import CONF

BASELINES = sorted({path.stem for path in (CONF / "baseline").glob("*.yaml")} - {"episode_mean"})
SEEDS = (0, 1)
TEN = range(10)
SETTINGS = ("algorithm.batch.episodes=16", "optimizer=adam", "optimizer.lr=0.1", "schedule=constant")

SEGMENTS = ("algorithm.batch.episodes=null", "algorithm.batch.steps=5")  # episodes of two steps overlap their ends


def learned_policies(
    run_on: MakeRun, probe: str, *overrides: str, seen: Sequence[Sequence[float]], **kwargs: int
) -> torch.Tensor:
    """Train each seed on a probe. Return the probability of each action at the observations `seen`, [seeds, n, A]."""
    found = []
    for seed in SEEDS:
        run = run_on(probe, *SETTINGS, *overrides, seed=seed, **kwargs)
        list(run.trainer.train())
        logits = run.policy.network(run.parameters.views, torch.tensor(seen))[..., : run.policy.head.inputs]
        found.append(torch.softmax(logits.detach(), -1))
    return torch.stack(found)


def returned(run_on: MakeRun, probe: str, *overrides: str, seeds: Sequence[int] = SEEDS, **kwargs: int) -> list[float]:
    """Train each seed on a probe. Return its mean return over 100 episodes with the most probable actions."""
    found = []
    for seed in seeds:
        run = run_on(probe, *SETTINGS, *overrides, seed=seed, **kwargs)
        list(run.trainer.train())
        outcome = run.evaluator.evaluate(run.parameters.views, EvaluationKey(seed, "final"), 100, greedy=True)
        found.append(float(outcome.returns.mean()))
    return found


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("network", ["linear", pytest.param("mlp", marks=pytest.mark.slow)])
class TestWholeEpisodes:
    @pytest.mark.slow
    def test_the_best_arm(self, run_on: MakeRun, baseline: str, network: str) -> None:
        settings = f"baseline={baseline}", f"network={network}", "budget.steps=640"
        chosen = learned_policies(run_on, "Arms", *settings, seen=[[1.0]], arms=3)
        assert chosen[:, 0, 2].min() > 0.9

    @pytest.mark.slow
    def test_the_best_action_depends_on_the_observation(self, run_on: MakeRun, baseline: str, network: str) -> None:
        settings = f"baseline={baseline}", f"network={network}", "budget.steps=640"
        chosen = learned_policies(run_on, "Match", *settings, seen=[[-1.0], [1.0]])
        assert chosen[:, 0, 0].min() > 0.9
        assert chosen[:, 1, 1].min() > 0.9

    def test_the_reward_comes_a_step_later(self, run_on: MakeRun, baseline: str, network: str) -> None:
        settings = f"baseline={baseline}", f"network={network}", "budget.steps=1280"
        chosen = learned_policies(run_on, "Delayed", *settings, seen=[[1.0, 0.0]])
        assert chosen[:, 0, 1].min() > 0.9


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(("algorithm.return_type=total_return", "baseline=mean"), marks=pytest.mark.slow),
        ("algorithm.advantage_scale=std", "baseline=leave_one_out"),
        pytest.param(
            ("algorithm.max_grad_norm=0.5", "algorithm.entropy_coefficient=0.01", "baseline=value"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("algorithm.discount_states=true", "algorithm.gamma=0.9", "baseline=none"), marks=pytest.mark.slow
        ),
        (*SEGMENTS, "baseline=value"),
        pytest.param((*SEGMENTS, "baseline=mean", "algorithm.partial_episodes=drop"), marks=pytest.mark.slow),
        pytest.param(
            ("algorithm.return_type=lambda_return", "algorithm.gae_lambda=0.9", "baseline=value"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            (*SEGMENTS, "algorithm.return_type=n_step_return", "algorithm.n_steps=2", "baseline=shared_value"),
            marks=pytest.mark.slow,
        ),
        ("algorithm.return_scale=std", "algorithm.reward_scale=10.0", "baseline=ema"),
        pytest.param(
            ("algorithm.advantage_scale=episode_std", "env.normalize_observations=true", "baseline=none"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("algorithm=natural", "optimizer=sgd", "optimizer.lr=0.3", "baseline=leave_one_out"), marks=pytest.mark.slow
        ),
        pytest.param(
            (
                "algorithm=natural",
                "optimizer=sgd",
                "optimizer.lr=0.3",
                "network=mlp",
                "algorithm.gradient_transform.exact_up_to=0",
            ),
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda settings: " ".join(settings),
)
def test_other_settings_learn(run_on: MakeRun, settings: tuple[str, ...]) -> None:
    chosen = learned_policies(run_on, "Delayed", "budget.steps=1920", *settings, seen=[[1.0, 0.0]])
    assert chosen[:, 0, 1].min() > 0.9


MEMORY = ("algorithm.batch.episodes=32", "budget.steps=12000", "optimizer.lr=0.02", "baseline=leave_one_out")


@pytest.mark.slow
@pytest.mark.parametrize("network", ["gru", "lstm"])
@pytest.mark.parametrize(
    "batch", [(), ("algorithm.batch.episodes=null", "algorithm.batch.steps=18", "baseline=shared_value")]
)
def test_recurrent_networks_remember_an_observation(run_on: MakeRun, network: str, batch: tuple[str, ...]) -> None:
    seeds = SEEDS if batch else TEN
    assert min(returned(run_on, "Recall", *MEMORY, f"network={network}", *batch, seeds=seeds)) == 1.0


@pytest.mark.slow
def test_a_network_without_memory_does_not(run_on: MakeRun) -> None:
    # 100 episodes of even chances; a mean of 0.75 or more has a probability below 1e-6
    assert max(returned(run_on, "Recall", *MEMORY, "network=mlp")) < 0.75


PIXELS = ("algorithm.batch.episodes=32", "budget.steps=6000", "optimizer.lr=0.005", "baseline=leave_one_out")


@pytest.mark.slow
def test_a_convolutional_network_learns_from_images(run_on: MakeRun) -> None:
    small = ("network=cnn_small", "network.channels=first")
    assert min(returned(run_on, "Bars", *PIXELS, *small, seeds=TEN)) > 0.95


@pytest.mark.slow
def test_a_linear_network_does_not(run_on: MakeRun) -> None:
    assert max(returned(run_on, "Bars", *PIXELS, "network=linear")) < 0.75


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        ("head=gaussian",),
        ("head=gaussian", "head.std=network", "head.bounds=tanh"),
        ("head=gaussian", "head.bounds=rescale"),
        ("head=squashed_gaussian",),
        ("head=beta",),
    ],
    ids=lambda head: " ".join(head),
)
def test_a_real_action_finds_its_target(run_on: MakeRun, head: tuple[str, ...]) -> None:
    settings = ("budget.steps=6400", "optimizer.lr=0.05", "baseline=leave_one_out", "schedule=linear")
    assert min(returned(run_on, "Target", *settings, *head, size=2)) > -0.08  # within 0.2 in each component


@pytest.mark.parametrize(("probe", "best"), [pytest.param("Switches", 3.0, marks=pytest.mark.slow), ("Dials", 2.0)])
def test_each_of_several_components_finds_its_best_choice(run_on: MakeRun, probe: str, best: float) -> None:
    settings = ("budget.steps=2000", "baseline=leave_one_out")
    assert returned(run_on, probe, *settings) == [best] * len(SEEDS)


def test_the_episode_mean_of_one_step_gives_no_gradient(run_on: MakeRun) -> None:
    chosen = learned_policies(run_on, "Arms", "baseline=episode_mean", "budget.steps=160", seen=[[1.0]])
    assert chosen.tolist() == [[[0.5, 0.5]]] * len(SEEDS)


def test_with_gamma_0_a_delayed_reward_gives_no_gradient(run_on: MakeRun) -> None:
    shortsighted = ("budget.steps=160", "algorithm.gamma=0.0", "network.bias=false")
    chosen = learned_policies(run_on, "Delayed", *shortsighted, seen=[[1.0, 0.0]])
    assert chosen.tolist() == [[[0.5, 0.5]]] * len(SEEDS)
