"""Every baseline learns every probe: to the action that is known to be best, from seeds that are fixed."""

from collections.abc import Sequence

import pytest
import torch

from pgexp.learning.trainer import train
from tests.learning.conftest import MakePack

BASELINES = ("none", "mean", "leave_one_out", "value")
SEEDS = (0, 1)
SETTINGS = ("algorithm.batch.episodes=16", "optimizer=adam", "optimizer.lr=0.1", "optimizer.schedule=constant")

SEGMENTS = ("algorithm.batch.episodes=null", "algorithm.batch.steps=5")  # episodes of two steps overlap their ends


def learnt(
    pack_on: MakePack, probe: str, *overrides: str, seen: Sequence[Sequence[float]], **kwargs: int
) -> torch.Tensor:
    """Train on a probe; return each run's probability of each action where it sees these observations, [R, n, A]."""
    pack = pack_on(probe, *SETTINGS, *overrides, seeds=SEEDS, **kwargs)
    assert all(update.failure is None for update in train(pack.collector, pack.stacked, pack.learners))
    observations = torch.tensor([seen] * len(SEEDS))
    return torch.softmax(pack.policy.network(pack.stacked, observations), -1)


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
    ],
    ids=lambda settings: " ".join(settings),
)
def test_other_settings_learn_too(pack_on: MakePack, settings: tuple[str, ...]) -> None:
    chosen = learnt(pack_on, "Delayed", "budget.steps=1920", *settings, seen=[[1.0, 0.0]])
    assert chosen[:, 0, 1].min() > 0.9


def test_without_credit_for_what_comes_after_a_delayed_reward_teaches_nothing(pack_on: MakePack) -> None:
    shortsighted = ("budget.steps=160", "algorithm.gamma=0.0", "network.bias=false")
    chosen = learnt(pack_on, "Delayed", *shortsighted, seen=[[1.0, 0.0]])
    assert chosen.tolist() == [[[0.5, 0.5]]] * len(SEEDS)
