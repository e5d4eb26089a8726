"""An evaluation depends on its subject alone: the run's seed, the label, the episode, and the policy."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from pgexp.execution.assembly import Pack
from pgexp.learning.evaluator import Evaluator, Outcome, Subject
from pgexp.learning.trainer import train
from pgexp.schema.streams import Name, generator, integer
from tests.learning.conftest import MakePack
from tests.probes import diary_length, diary_reward

ACTIONS = 4


def told(seed: int, label: Name, episode: int) -> tuple[float, int]:
    """Return the return and length of an evaluation's episode under a uniform policy, as the diary tells them."""
    env_seed = integer(seed, "evaluation", label, episode, "env")
    length = diary_length(env_seed)
    noise = generator(seed, "evaluation", label, episode, "action", 0).random(512, dtype=np.float32)[:length]
    return sum(diary_reward(env_seed, time, int(ACTIONS * u)) for time, u in enumerate(noise)), length


def assert_tells(outcome: Outcome, seed: int, label: Name, episodes: int) -> None:
    expected = [told(seed, label, episode) for episode in range(episodes)]
    assert outcome.returns.tolist() == [of_episode for of_episode, _ in expected]
    assert outcome.lengths.tolist() == [length for _, length in expected]


def evaluated(pack: Pack, subjects: Sequence[Subject], episodes: int, greedy: bool = False) -> list[Outcome]:
    return pack.evaluator.evaluate(pack.stacked, subjects, episodes, greedy)


@pytest.mark.parametrize("episodes", [1, 3, 4, 5, 8, 13])
@pytest.mark.parametrize("slots", [1, 4])
def test_every_episode_is_played_once_on_its_own_streams(pack_on: MakePack, episodes: int, slots: int) -> None:
    pack = pack_on("Diary", f"evaluation.slots={slots}", seeds=[5])
    assert_tells(evaluated(pack, [Subject(5, "final")], episodes)[0], 5, "final", episodes)


def test_each_subject_has_its_own_episodes(pack_on: MakePack) -> None:
    pack = pack_on("Diary", "evaluation.slots=4", seeds=[5, 6, 5])
    subjects = [Subject(5, "final"), Subject(6, "final"), Subject(5, 20_000)]
    for outcome, subject in zip(evaluated(pack, subjects, 6), subjects, strict=True):
        assert_tells(outcome, subject.seed, subject.label, 6)


def test_more_subjects_than_capacity_are_played_in_turns(pack_on: MakePack) -> None:
    pack = pack_on("Diary", seeds=[0, 1, 2, 3, 4])
    subjects = [Subject(seed, "final") for seed in range(5)]
    for capacity in (1, 2, 3, 5, 9):
        evaluator = Evaluator(pack.env, pack.policy, capacity, 4)
        for seed, outcome in enumerate(evaluator.evaluate(pack.stacked, subjects, 6, greedy=False)):
            assert_tells(outcome, seed, "final", 6)


def test_each_subject_is_played_under_its_own_parameters(pack_on: MakePack) -> None:
    pack = pack_on("Arms", seeds=[0, 1, 2], arms=3)
    pack.stacked["0.bias"][:] = 1_000.0 * torch.eye(3)[[2, 0, 1]]
    subjects = [Subject(seed, "final") for seed in range(3)]
    for capacity in (1, 2, 3):
        evaluator = Evaluator(pack.env, pack.policy, capacity, 4)
        outcomes = evaluator.evaluate(pack.stacked, subjects, 5, greedy=False)
        assert [outcome.returns.tolist() for outcome in outcomes] == [[2.0] * 5, [0.0] * 5, [1.0] * 5]


def test_greedy_takes_the_most_probable_action_and_sampling_does_not(pack_on: MakePack) -> None:
    pack = pack_on("Arms", arms=3)
    pack.stacked["0.bias"][0] = torch.tensor([0.0, 0.1, 0.0])
    assert evaluated(pack, [Subject(0, "final")], 40, greedy=True)[0].returns.tolist() == [1.0] * 40
    assert set(evaluated(pack, [Subject(0, "final")], 40)[0].returns) == {0.0, 1.0, 2.0}


class TestNothingElseMatters:
    SETTINGS = ("env.slots=2", "algorithm.batch.episodes=2", "budget.steps=100", "evaluation.slots=4")

    def test_how_often_was_evaluated_before(self, pack_on: MakePack) -> None:
        pack = pack_on("Diary", *self.SETTINGS, seeds=[5])
        for _ in range(3):
            assert_tells(evaluated(pack, [Subject(5, "final")], 6)[0], 5, "final", 6)

    def test_training_before(self, pack_on: MakePack) -> None:
        pack = pack_on("Diary", *self.SETTINGS, seeds=[5])
        untrained = {name: tensor.clone() for name, tensor in pack.stacked.items()}
        list(train(pack.collector, pack.stacked, pack.learners))
        outcome = pack.evaluator.evaluate(untrained, [Subject(5, "final")], 6, greedy=False)[0]
        assert_tells(outcome, 5, "final", 6)

    def test_training_does_not_feel_an_evaluation(self, pack_on: MakePack) -> None:
        quiet, watched = (pack_on("Diary", *self.SETTINGS, seeds=[5, 6]) for _ in range(2))
        rows = []
        for number, updates in enumerate(train(watched.collector, watched.stacked, watched.learners)):
            evaluated(watched, [Subject(5, number)] * 2, 3)
            rows.append(updates)
        assert rows == list(train(quiet.collector, quiet.stacked, quiet.learners))
        assert all(torch.equal(tensor, watched.stacked[name]) for name, tensor in quiet.stacked.items())

    def test_the_first_episodes_are_the_same_however_many_follow(self, pack_on: MakePack) -> None:
        pack = pack_on("Diary", *self.SETTINGS, seeds=[5])
        few, many = (evaluated(pack, [Subject(5, "final")], episodes)[0] for episodes in (2, 11))
        assert few.returns.tolist() == many.returns.tolist()[:2]


class TestFilm:
    @pytest.mark.parametrize("episodes", [1, 3, 7])
    def test_it_shows_the_first_episode_from_its_start_to_its_end(self, pack_on: MakePack, episodes: int) -> None:
        pack, subject = pack_on("Diary", "evaluation.slots=4", seeds=[5]), Subject(5, "final")
        length = evaluated(pack, [subject], episodes)[0].lengths[0]
        parameters = {name: tensor[0] for name, tensor in pack.stacked.items()}
        frames = list(pack.evaluator.film(parameters, subject, episodes, greedy=False))
        assert [int(frame[0, 0, 0]) for frame in frames] == [*range(length + 1)]
        assert all(frame.shape == (2, 2, 3) for frame in frames)

    def test_it_shows_what_was_played(self, pack_on: MakePack) -> None:
        # The walk's length depends on every action.
        pack = pack_on("Walk", "evaluation.slots=4", "network=mlp", "network.output_gain=1.0", seeds=[0, 1, 2])
        subjects = [Subject(seed, "final") for seed in range(3)]
        outcomes = evaluated(pack, subjects, 6)
        assert len({int(outcome.lengths[0]) for outcome in outcomes}) == 3
        for run, (subject, outcome) in enumerate(zip(subjects, outcomes, strict=True)):
            parameters = {name: tensor[run] for name, tensor in pack.stacked.items()}
            frames = list(pack.evaluator.film(parameters, subject, 6, greedy=False))
            assert len(frames) == outcome.lengths[0] + 1


class TestOnePolicy:
    SETTINGS = ("evaluation.slots=4", "network=mlp", "network.output_gain=1.0")

    def test_it_is_told_as_its_episodes_end_and_at_last_as_a_whole(self, pack_on: MakePack) -> None:
        pack, subject = pack_on("Diary", "evaluation.slots=4", seeds=[5]), Subject(5, "after-0")
        parameters = {name: tensor[0] for name, tensor in pack.stacked.items()}
        done, outcome = [], None
        for outcome in pack.evaluator.follow(parameters, subject, 9, greedy=False):
            done.append(int((outcome.lengths > 0).sum()))
        assert outcome is not None
        assert_tells(outcome, 5, "after-0", 9)
        assert done == sorted({*done})
        assert done[-1] == 9

    def test_any_episode_can_be_played_again(self, pack_on: MakePack) -> None:
        pack, subject = pack_on("Walk", *self.SETTINGS, seeds=[1]), Subject(1, "after-0")
        (outcome,) = evaluated(pack, [subject], 11)
        parameters = {name: tensor[0] for name, tensor in pack.stacked.items()}
        lengths = []
        for episode in range(11):
            slots = pack.env.filmed()
            rows = [*pack.evaluator.replay(slots, parameters, subject, 11, greedy=False, episode=episode)]
            assert {*rows} == {episode % 4}
            lengths.append(len(rows) - 1)
        assert lengths == outcome.lengths.tolist()
        assert len({*lengths}) > 1

    def test_what_a_time_limit_cut_is_told_from_what_ended(self, pack_on: MakePack) -> None:
        # The walk ends at a distance of 6: in 6 steps or more, and an even number of them.
        pack = pack_on("Walk", *self.SETTINGS, "env.max_episode_steps=12", seeds=[1])
        (free,) = evaluated(pack_on("Walk", *self.SETTINGS, seeds=[1]), [Subject(1, "final")], 20)
        (cut,) = evaluated(pack, [Subject(1, "final")], 20)
        assert cut.truncated.tolist() == [length > 12 for length in free.lengths]
        assert 0 < cut.truncated.sum() < 20
        assert not free.truncated.any()
