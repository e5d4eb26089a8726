"""Every baseline learns every probe: to the action that is known to be best, from seeds that are fixed."""

from collections.abc import Sequence

import pytest
import torch

from pgexp.learning.evaluator import Subject
from pgexp.learning.trainer import train
from tests.conftest import CONF
from tests.learning.conftest import MakePack

BASELINES = sorted({path.stem for path in (CONF / "baseline").glob("*.yaml")} - {"episode_mean"})
SEEDS = (0, 1)
TEN = range(10)
SETTINGS = ("algorithm.batch.episodes=16", "optimizer=adam", "optimizer.lr=0.1", "schedule=constant")

SEGMENTS = ("algorithm.batch.episodes=null", "algorithm.batch.steps=5")  # episodes of two steps overlap their ends


def learnt(
    pack_on: MakePack, probe: str, *overrides: str, seen: Sequence[Sequence[float]], **kwargs: int
) -> torch.Tensor:
    """Train on a probe; return each run's probability of each action where it sees these observations, [R, n, A]."""
    pack = pack_on(probe, *SETTINGS, *overrides, seeds=SEEDS, **kwargs)
    rounds = train(pack.collector, pack.stacked, pack.learners)
    assert all(update.failure is None for updates in rounds for update in updates)
    observations = torch.tensor([seen] * len(SEEDS))
    logits = pack.policy.network(pack.stacked, observations)[..., : pack.policy.head.inputs]
    return torch.softmax(logits, -1)


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("network", ["linear", "mlp"])
class TestWithWholeEpisodes:
    def test_the_best_arm(self, pack_on: MakePack, baseline: str, network: str) -> None:
        settings = f"baseline={baseline}", f"network={network}", "budget.steps=640"
        chosen = learnt(pack_on, "Arms", *settings, seen=[[1.0]], arms=3)
        assert chosen[:, 0, 2].min() > 0.9

    def test_what_pays_depends_on_what_is_seen(self, pack_on: MakePack, baseline: str, network: str) -> None:
        settings = f"baseline={baseline}", f"network={network}", "budget.steps=640"
        chosen = learnt(pack_on, "Match", *settings, seen=[[-1.0], [1.0]])
        assert chosen[:, 0, 0].min() > 0.9
        assert chosen[:, 1, 1].min() > 0.9

    def test_what_pays_pays_a_step_later(self, pack_on: MakePack, baseline: str, network: str) -> None:
        settings = f"baseline={baseline}", f"network={network}", "budget.steps=1280"
        chosen = learnt(pack_on, "Delayed", *settings, seen=[[1.0, 0.0]])
        assert chosen[:, 0, 1].min() > 0.9


@pytest.mark.parametrize(
    "settings",
    [
        ("algorithm.credit=total_return", "baseline=mean"),
        ("algorithm.advantage_scale=std", "baseline=leave_one_out"),
        ("algorithm.max_grad_norm=0.5", "algorithm.entropy_coefficient=0.01", "baseline=value"),
        ("algorithm.discount_states=true", "algorithm.gamma=0.9", "baseline=none"),
        (*SEGMENTS, "baseline=value"),
        (*SEGMENTS, "baseline=mean", "algorithm.open_tail=drop"),
        ("algorithm.credit=lambda_return", "algorithm.gae_lambda=0.9", "baseline=value"),
        (*SEGMENTS, "algorithm.credit=n_step_return", "algorithm.n_steps=2", "baseline=shared_value"),
        ("algorithm.return_scale=std", "algorithm.reward_scale=10.0", "baseline=ema"),
        ("algorithm.advantage_scale=episode_std", "env.normalize_observations=true", "baseline=none"),
        ("algorithm=natural", "optimizer=sgd", "optimizer.lr=0.3", "baseline=leave_one_out"),
        ("algorithm=natural", "optimizer=sgd", "optimizer.lr=0.3", "network=mlp", "algorithm.direction.exact_up_to=0"),
    ],
    ids=lambda settings: " ".join(settings),
)
def test_other_settings_learn_too(pack_on: MakePack, settings: tuple[str, ...]) -> None:
    chosen = learnt(pack_on, "Delayed", "budget.steps=1920", *settings, seen=[[1.0, 0.0]])
    assert chosen[:, 0, 1].min() > 0.9


def returned(
    pack_on: MakePack, probe: str, *overrides: str, seeds: Sequence[int] = SEEDS, **kwargs: int
) -> list[float]:
    """Train on a probe; return each run's mean return over 100 episodes under the most probable actions."""
    pack = pack_on(probe, *SETTINGS, *overrides, seeds=seeds, **kwargs)
    rounds = train(pack.collector, pack.stacked, pack.learners)
    assert all(update.failure is None for updates in rounds for update in updates)
    subjects = [Subject(seed, "final") for seed in seeds]
    return [float(one.returns.mean()) for one in pack.evaluator.evaluate(pack.stacked, subjects, 100, greedy=True)]


MEMORY = ("algorithm.batch.episodes=32", "budget.steps=12000", "optimizer.lr=0.02", "baseline=leave_one_out")


@pytest.mark.parametrize("network", ["gru", "lstm"])
@pytest.mark.parametrize(
    "batch", [(), ("algorithm.batch.episodes=null", "algorithm.batch.steps=18", "baseline=shared_value")]
)
def test_what_was_seen_three_steps_ago_is_remembered(pack_on: MakePack, network: str, batch: tuple[str, ...]) -> None:
    seeds = SEEDS if batch else TEN
    assert min(returned(pack_on, "Recall", *MEMORY, f"network={network}", *batch, seeds=seeds)) == 1.0


def test_without_a_memory_it_is_not(pack_on: MakePack) -> None:
    # 100 episodes of even chances; a mean of 0.75 or more has a probability below 1e-6
    assert max(returned(pack_on, "Recall", *MEMORY, "network=mlp")) < 0.75


PIXELS = ("algorithm.batch.episodes=32", "budget.steps=6000", "optimizer.lr=0.005", "baseline=leave_one_out")


def test_a_convolution_tells_upright_bars_from_lying_ones(pack_on: MakePack) -> None:
    small = ("network=cnn_small", "network.channels=first")
    assert min(returned(pack_on, "Bars", *PIXELS, *small, seeds=TEN)) > 0.95


def test_no_sum_of_pixels_does(pack_on: MakePack) -> None:
    assert max(returned(pack_on, "Bars", *PIXELS, "network=linear")) < 0.75


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
def test_a_real_action_finds_its_target(pack_on: MakePack, head: tuple[str, ...]) -> None:
    settings = ("budget.steps=6400", "optimizer.lr=0.05", "baseline=leave_one_out", "schedule=linear")
    assert min(returned(pack_on, "Target", *settings, *head, size=2)) > -0.08  # within 0.2 in each component


@pytest.mark.parametrize(("probe", "best"), [("Switches", 3.0), ("Dials", 2.0)])
def test_several_choices_at_once_are_each_made_right(pack_on: MakePack, probe: str, best: float) -> None:
    settings = ("budget.steps=2000", "baseline=leave_one_out")
    assert returned(pack_on, probe, *settings) == [best] * len(SEEDS)


def test_an_episodes_own_mean_teaches_nothing_where_it_has_one_step(pack_on: MakePack) -> None:
    chosen = learnt(pack_on, "Arms", "baseline=episode_mean", "budget.steps=160", seen=[[1.0]])
    assert chosen.tolist() == [[[0.5, 0.5]]] * len(SEEDS)


def test_without_credit_for_what_comes_after_a_delayed_reward_teaches_nothing(pack_on: MakePack) -> None:
    shortsighted = ("budget.steps=160", "algorithm.gamma=0.0", "network.bias=false")
    chosen = learnt(pack_on, "Delayed", *shortsighted, seen=[[1.0, 0.0]])
    assert chosen.tolist() == [[[0.5, 0.5]]] * len(SEEDS)
