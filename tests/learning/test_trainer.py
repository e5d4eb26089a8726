"""A pack trains until each run has spent its budget; a run that fails, fails alone."""

from collections import defaultdict
from dataclasses import replace

import torch

from pgexp.execution.assembly import Pack, assemble
from pgexp.learning.failure import Failure
from pgexp.learning.trainer import Update, train
from pgexp.schema import names
from pgexp.schema.streams import integer
from tests.conftest import Compose
from tests.learning.conftest import MakePack


def trained(pack: Pack) -> dict[int, list[Update]]:
    """Train a pack; return each run's updates."""
    updates: dict[int, list[Update]] = defaultdict(list)
    for of_round in train(pack.collector, pack.stacked, pack.learners):
        for update in of_round:
            updates[update.run].append(update)
    return updates


def test_the_update_that_spends_the_steps_is_finished_and_is_the_last(pack_on: MakePack) -> None:
    # Batches of 4 episodes of 5 steps: at 0, 20 and 40 steps an update starts, at 60 none does.
    pack = pack_on("Clock", "budget.steps=50", "algorithm.batch.episodes=4", length=5)
    assert len(trained(pack)[0]) == 3
    assert (pack.learners[0].steps, pack.learners[0].episodes) == (60, 12)


def test_a_budget_that_is_spent_exactly_is_not_overshot(pack_on: MakePack) -> None:
    pack = pack_on("Clock", "budget.steps=40", "algorithm.batch.episodes=4", length=5)
    assert len(trained(pack)[0]) == 2
    assert pack.learners[0].steps == 40


def test_a_budget_may_be_of_episodes(pack_on: MakePack) -> None:
    pack = pack_on("Clock", "budget={steps:null,episodes:10}", "algorithm.batch.episodes=4", length=5)
    assert len(trained(pack)[0]) == 3
    assert (pack.learners[0].steps, pack.learners[0].episodes) == (60, 12)


def test_each_run_of_a_pack_ends_with_its_own_budget(configured: Compose) -> None:
    config = configured("env.id=pgexp-probe/Clock-v0", "env.max_episode_steps=5", "algorithm.batch.episodes=4")
    budgets = [20, 100, 41]
    pack = assemble(
        [replace(config, seed=run, budget=replace(config.budget, steps=b)) for run, b in enumerate(budgets)]
    )
    updates = trained(pack)
    assert {run: len(of_run) for run, of_run in updates.items()} == {0: 1, 1: 5, 2: 3}
    assert [learner.steps for learner in pack.learners] == [20, 100, 60]


def test_updates_come_round_by_round(pack_on: MakePack) -> None:
    pack = pack_on("Clock", "budget.steps=40", "algorithm.batch.episodes=4", seeds=[0, 1, 2], length=5)
    rounds = train(pack.collector, pack.stacked, pack.learners)
    assert [[update.run for update in updates] for updates in rounds] == [[0, 1, 2], [0, 1, 2]]


def test_truncated_episodes_are_counted_whatever_the_time_limit_is(pack_on: MakePack) -> None:
    cut = ("env.max_episode_steps=3", "budget.steps=12", "algorithm.batch.episodes=4", "baseline=value")
    for limit in ("end", "bootstrap"):
        (update,) = trained(pack_on("Clock", *cut, f"algorithm.time_limit={limit}"))[0]
        assert update.metrics[names.TRUNCATED] == 4.0
    (update,) = trained(pack_on("Clock", *cut[1:], length=3))[0]
    assert update.metrics[names.TRUNCATED] == 0.0


class TestDivergence:
    """Run 1 is paid NaN in episode 3 of its slot 2: in its fourth update."""

    SETTINGS = ("env.slots=4", "algorithm.batch.episodes=4", "budget.steps=160", "baseline=mean")
    POISONED = integer(1, "env", 2, 3)

    def test_a_run_that_diverges_fails_alone(self, pack_on: MakePack) -> None:
        updates = trained(pack_on("Poisoned", *self.SETTINGS, seeds=[0, 1, 2], poisoned=self.POISONED))
        assert [update.failure is None for update in updates[1]] == [True, True, True, False]
        told = "the environment gave a reward of nan at step 0 of episode 3 in slot 2, each counted from 0"
        assert updates[1][-1].failure == Failure(told, final=True)
        assert updates[1][-1].metrics == {}
        assert [len(updates[run]) for run in (0, 2)] == [10, 10]

    def test_the_others_bits_do_not_change(self, pack_on: MakePack) -> None:
        pack = pack_on("Poisoned", *self.SETTINGS, seeds=[0, 1, 2], poisoned=self.POISONED)
        updates = trained(pack)
        for run in (0, 2):
            alone = pack_on("Poisoned", *self.SETTINGS, seeds=[run], poisoned=self.POISONED)
            assert [update.metrics for update in trained(alone)[0]] == [update.metrics for update in updates[run]]
            for name, tensor in alone.stacked.items():
                assert torch.equal(tensor[0], pack.stacked[name][run])

    def test_a_run_that_is_given_up_leaves_before_the_next_round(self, pack_on: MakePack) -> None:
        pack = pack_on("Poisoned", *self.SETTINGS, seeds=[0, 1, 2])
        given_up: set[int] = set()
        rounds = []
        for updates in train(pack.collector, pack.stacked, pack.learners, given_up):
            rounds.append([update.run for update in updates])
            given_up |= {2} if len(rounds) == 3 else set()
        assert rounds == [[0, 1, 2]] * 3 + [[0, 1]] * 7

    def test_its_parameters_stay_what_they_were_before(self, pack_on: MakePack) -> None:
        constant = (*self.SETTINGS, "schedule=constant")
        pack = pack_on("Poisoned", *constant, seeds=[1], poisoned=self.POISONED)
        before = pack_on("Poisoned", *constant, "budget.steps=48", seeds=[1])  # three updates of 16 steps
        trained(pack)
        trained(before)
        assert all(torch.equal(tensor, before.stacked[name]) for name, tensor in pack.stacked.items())
