"""Evaluations depend on the run's seed, the label, the episode, and the policy alone."""

import pytest
import torch

from pgexp.algorithms.evaluator import EvaluationKey, EvaluationResult
from pgexp.execution.assembly import Run
from tests.algorithms.conftest import MakeRun
from tests.probes import diary_length, diary_reward
from tests.streams import Name, episode_seed, episode_uniforms

ACTIONS = 4


def expected(seed: int, label: Name, episode: int) -> tuple[float, int]:
    """Return the return and length of an evaluation's episode in the diary under a uniform policy."""
    env_seed = episode_seed(seed, "evaluation", label, "env", 0, episode)
    length = diary_length(env_seed)
    key = (seed, "evaluation", label, "action")
    uniforms = episode_uniforms(*key, environment=0, episode=episode, steps=length)
    return sum(diary_reward(env_seed, time, int(ACTIONS * u)) for time, u in enumerate(uniforms)), length


def assert_expected(outcome: EvaluationResult, seed: int, label: Name, episodes: int) -> None:
    of_episodes = [expected(seed, label, episode) for episode in range(episodes)]
    assert outcome.returns.tolist() == [total for total, _ in of_episodes]
    assert outcome.lengths.tolist() == [length for _, length in of_episodes]


def evaluated(run: Run, subject: EvaluationKey, episodes: int, greedy: bool = False) -> EvaluationResult:
    return run.evaluator.evaluate(run.parameters.views, subject, episodes, greedy)


@pytest.mark.parametrize("episodes", [1, 3, 4, 5, 8, 13])
@pytest.mark.parametrize("count", [1, 4])
def test_each_episode_is_played_once_on_its_own_streams(run_on: MakeRun, episodes: int, count: int) -> None:
    run = run_on("Diary", f"evaluation.num_envs={count}", seed=5)
    assert_expected(evaluated(run, EvaluationKey(5, "final"), episodes), 5, "final", episodes)


def test_each_subject_has_its_own_episodes(run_on: MakeRun) -> None:
    run = run_on("Diary", "evaluation.num_envs=4", seed=5)
    for subject in (EvaluationKey(5, "final"), EvaluationKey(6, "final"), EvaluationKey(5, 20_000)):
        assert_expected(evaluated(run, subject, 6), subject.seed, subject.label, 6)


def test_it_is_played_under_the_given_parameters(run_on: MakeRun) -> None:
    run = run_on("Arms", arms=3)
    before = {name: tensor.clone() for name, tensor in run.parameters.views.items()}
    for arm in (2, 0, 1):
        parameters = before | {"0.bias": 1_000.0 * torch.eye(3)[arm]}
        outcome = run.evaluator.evaluate(parameters, EvaluationKey(0, "final"), 5, greedy=False)
        assert outcome.returns.tolist() == [float(arm)] * 5
    assert all(torch.equal(tensor, run.parameters.views[name]) for name, tensor in before.items())


def test_greedy_evaluation_takes_the_most_probable_action(run_on: MakeRun) -> None:
    run = run_on("Arms", arms=3)
    run.parameters.views["0.bias"].detach()[:] = torch.tensor([0.0, 0.1, 0.0])
    assert evaluated(run, EvaluationKey(0, "final"), 40, greedy=True).returns.tolist() == [1.0] * 40
    assert set(evaluated(run, EvaluationKey(0, "final"), 40).returns) == {0.0, 1.0, 2.0}


class TestIndependence:
    SETTINGS = ("env.num_envs=2", "algorithm.batch.episodes=2", "budget.steps=100", "evaluation.num_envs=4")

    def test_of_evaluations_before(self, run_on: MakeRun) -> None:
        run = run_on("Diary", *self.SETTINGS, seed=5)
        for episodes in (6, 3, 6, 1):
            assert_expected(evaluated(run, EvaluationKey(5, "final"), episodes), 5, "final", episodes)

    def test_of_an_evaluation_that_was_not_finished(self, run_on: MakeRun) -> None:
        run = run_on("Diary", *self.SETTINGS, seed=5)
        unfinished = run.evaluator.iterate(run.parameters.views, EvaluationKey(5, 7), 9, greedy=False)
        next(unfinished)
        unfinished.close()
        assert_expected(evaluated(run, EvaluationKey(5, "final"), 6), 5, "final", 6)

    def test_of_training(self, run_on: MakeRun) -> None:
        run = run_on("Diary", *self.SETTINGS, seed=5)
        untrained = {name: tensor.clone() for name, tensor in run.parameters.views.items()}
        list(run.trainer.train())
        outcome = run.evaluator.evaluate(untrained, EvaluationKey(5, "final"), 6, greedy=False)
        assert_expected(outcome, 5, "final", 6)

    @pytest.mark.parametrize(
        "segments", [(), ("algorithm.batch={episodes:null,steps:5}", "algorithm.partial_episodes=drop")]
    )
    def test_of_training_on_evaluations(self, run_on: MakeRun, segments: tuple[str, ...]) -> None:
        quiet, evaluating = (run_on("Diary", *self.SETTINGS, *segments, seed=5) for _ in range(2))
        rows = []
        for number, metrics in enumerate(evaluating.trainer.train()):
            evaluated(evaluating, EvaluationKey(5, number), 3)
            rows.append(metrics)
        assert rows == list(quiet.trainer.train())
        assert torch.equal(quiet.parameters.vector, evaluating.parameters.vector)

    def test_of_the_number_of_episodes_that_follow(self, run_on: MakeRun) -> None:
        run = run_on("Diary", *self.SETTINGS, seed=5)
        few, many = (evaluated(run, EvaluationKey(5, "final"), episodes) for episodes in (2, 11))
        assert few.returns.tolist() == many.returns.tolist()[:2]


class TestFilm:
    @pytest.mark.parametrize("episodes", [1, 3, 7])
    def test_it_shows_the_first_episode_from_its_start_to_its_end(self, run_on: MakeRun, episodes: int) -> None:
        run, subject = run_on("Diary", "evaluation.num_envs=4", seed=5), EvaluationKey(5, "final")
        length = evaluated(run, subject, episodes).lengths[0]
        frames = list(run.evaluator.film(run.env.video_bank(), run.parameters.views, subject, episodes, greedy=False))
        assert [int(frame[0, 0, 0]) for frame in frames] == [*range(length + 1)]
        assert all(frame.shape == (2, 2, 3) for frame in frames)

    def test_it_repeats_the_evaluations_actions(self, run_on: MakeRun) -> None:
        # The walk's length depends on every action.
        lengths = set()
        for seed in range(3):
            settings = ("evaluation.num_envs=4", "network=mlp", "network.output_gain=1.0")
            run, subject = run_on("Walk", *settings, seed=seed), EvaluationKey(seed, "final")
            length = int(evaluated(run, subject, 6).lengths[0])
            frames = list(run.evaluator.film(run.env.video_bank(), run.parameters.views, subject, 6, greedy=False))
            assert len(frames) == length + 1
            lengths.add(length)
        assert len(lengths) > 1

    def test_compiled_dynamics_are_filmed_as_they_were_evaluated(self, run_on: MakeRun) -> None:
        run, subject = run_on("Diary", "env.id=CartPole-v1", "evaluation.num_envs=4"), EvaluationKey(0, "final")
        lengths = evaluated(run, subject, 6).lengths
        rows = [*run.evaluator.replay(run.env.video_bank(), run.parameters.views, subject, 6, greedy=False, episode=5)]
        assert len(rows) == lengths[5] + 1


class TestOnePolicy:
    SETTINGS = ("evaluation.num_envs=4", "network=mlp", "network.output_gain=1.0")

    def test_the_outcome_fills_as_episodes_end(self, run_on: MakeRun) -> None:
        run, subject = run_on("Diary", "evaluation.num_envs=4", seed=5), EvaluationKey(5, "after-0")
        done, outcome = [], None
        for outcome in run.evaluator.iterate(run.parameters.views, subject, 9, greedy=False):
            done.append(int((outcome.lengths > 0).sum()))
        assert outcome is not None
        assert_expected(outcome, 5, "after-0", 9)
        assert done == sorted({*done})
        assert done[-1] == 9

    def test_each_episode_can_be_played_again(self, run_on: MakeRun) -> None:
        run, subject = run_on("Walk", *self.SETTINGS, seed=1), EvaluationKey(1, "after-0")
        outcome, lengths = evaluated(run, subject, 11), []
        for episode in range(11):
            replay = run.evaluator.replay(
                run.env.video_bank(), run.parameters.views, subject, 11, greedy=False, episode=episode
            )
            rows = [*replay]
            assert {*rows} == {episode % 4}
            lengths.append(len(rows) - 1)
        assert lengths == outcome.lengths.tolist()
        assert len({*lengths}) > 1

    def test_truncated_and_terminated_episodes_are_distinguished(self, run_on: MakeRun) -> None:
        # The walk ends at a distance of 6: after an even number of steps, at least 6.
        unlimited = evaluated(run_on("Walk", *self.SETTINGS, seed=1), EvaluationKey(1, "final"), 20)
        limited = run_on("Walk", *self.SETTINGS, "env.max_episode_steps=12", seed=1)
        cut = evaluated(limited, EvaluationKey(1, "final"), 20)
        assert cut.truncated.tolist() == [length > 12 for length in unlimited.lengths]
        assert 0 < cut.truncated.sum() < 20
        assert not unlimited.truncated.any()
