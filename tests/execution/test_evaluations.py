"""Evaluations during training and at its end: steps, rows and streams."""

from itertools import accumulate

import pytest

from pgexp.algorithms.evaluator import EvaluationKey
from tests.conftest import Compose
from tests.execution.conftest import Train, untimed
from tests.streams import episode_seed

EVALUATION = "evaluation/"
FINAL = "final/"


@pytest.mark.parametrize(
    ("every", "steps"),
    [
        ("10", [16, 24, 32]),  # updates end at 8, 16, 24 and 32; multiples are 10, 20 and 30
        ("8", [8, 16, 24, 32]),
        ("3", [8, 16, 24, 32]),  # an update that passes several multiples is followed by one evaluation
        ("20", [24]),
        ("33", []),
        ("null", []),
    ],
)
def test_steps_of_the_evaluations(clock: Compose, experiment: Train, every: str, steps: list[int]) -> None:
    trained = experiment(clock(f"evaluation.every={every}")).run()
    assert trained.steps(EVALUATION) == steps
    assert trained.steps(FINAL) == [32]


def test_an_update_may_pass_several_multiples(clock: Compose, experiment: Train) -> None:
    """An episode has 1 + seed % 7 steps, and a batch is episode n of environments 0 and 1."""
    lengths = [sum(1 + episode_seed(2, "env", i, n) % 7 for i in (0, 1)) for n in range(16)]
    ends = [end for end in accumulate(lengths) if end < 32 + lengths[-1]]
    ends = ends[: 1 + next(n for n, end in enumerate(ends) if end >= 32)]
    due = [end for before, end in zip([0, *ends], ends, strict=False) if end // 6 > before // 6]
    trained = experiment(clock("+env.kwargs.length=0", "seed=2", "evaluation.every=6")).run()
    assert trained.steps("train") == ends
    assert trained.steps(EVALUATION) == due
    assert any(end // 6 - before // 6 > 1 for before, end in zip([0, *ends], ends, strict=False))
    assert len(due) < ends[-1] // 6


def test_an_evaluations_row_follows_the_row_of_its_update(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("evaluation.every=16")).run()
    groups = ("train", EVALUATION, FINAL)
    kinds = [[group for group in groups if row in trained.rows(group)] for row in trained.rows()]
    assert kinds == [["train"], ["train"], [EVALUATION], ["train"], ["train"], [EVALUATION], [FINAL]]


def test_an_evaluations_row_summarises_its_episodes(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("evaluation.every=32", "evaluation.episodes=5")).run()
    (row,) = trained.rows(EVALUATION)
    least, mean, most = (row.metrics[f"evaluation/return_{name}"] for name in ("min", "mean", "max"))
    assert 0 <= least < mean < most <= 4
    assert row.metrics["evaluation/episode_length_mean"] == 4
    assert " of 5 episodes\n" in (trained.folder / "run.log").read_text()


def test_the_final_evaluation_has_its_own_streams(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("env.id=CartPole-v1", "seed=5")).run()
    outcome, run = trained.experiment.final_evaluation, trained.assembled
    again = run.evaluator.evaluate(run.parameters.views, EvaluationKey(5, "final"), 3, greedy=False)
    assert outcome is not None
    assert outcome.returns.tolist() == again.returns.tolist()
    (row,) = trained.rows(FINAL)
    assert row.metrics["final/return_mean"] == again.returns.mean()
    assert row.metrics["final/return_std"] == again.returns.std()
    assert row.metrics["final/return_min"] == again.returns.min()
    assert row.metrics["final/return_max"] == again.returns.max()


def test_without_final_episodes(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("evaluation.final_episodes=0")).run()
    assert trained.steps() == [8, 16, 24, 32]
    assert trained.experiment.final_evaluation is None
    assert trained.end == ("FINISHED", "")


def test_greedy_evaluations_take_the_most_probable_actions(clock: Compose, experiment: Train) -> None:
    """The learning rate is so small that both actions stay equally probable, and all episodes are equal."""
    short = ("evaluation.every=8", "evaluation.episodes=12", "optimizer.lr=1e-30", "budget.steps=8")
    deviation = {}
    for greedy in ("true", "false"):
        (row,) = experiment(clock(*short, f"evaluation.greedy={greedy}")).run().rows(EVALUATION)
        deviation[greedy] = row.metrics["evaluation/return_std"]
    assert deviation["true"] == 0 < deviation["false"]


@pytest.mark.parametrize("episodes", [1, 7])
@pytest.mark.parametrize(
    "environment",
    [("env=cartpole",), ("env=frozenlake",), ("env=pendulum", "env.max_episode_steps=20")],
    ids=lambda overrides: overrides[0],
)
def test_evaluating_changes_nothing_in_training(
    clock: Compose, configured: Compose, experiment: Train, environment: tuple[str, ...], episodes: int
) -> None:
    short = (*environment, "network=linear", "baseline=mean", "algorithm.batch.episodes=4", "budget.steps=300")
    never = experiment(configured(*short, "evaluation.every=null", "evaluation.final_episodes=0")).run()
    often = experiment(configured(*short, "evaluation.every=50", f"evaluation.episodes={episodes}")).run()
    assert len(often.rows(EVALUATION)) > 1
    for left, right in zip(often.rows("train"), never.rows("train"), strict=True):
        assert untimed(left.metrics) == untimed(right.metrics)


def test_the_number_of_environments_changes_no_evaluation(configured: Compose, experiment: Train) -> None:
    short = ("network.widths=[8]", "baseline=mean", "budget.steps=300", "evaluation.every=100", "evaluation.episodes=5")
    one, many = (experiment(configured(*short, f"evaluation.num_envs={n}")).run() for n in (1, 16))
    assert [row.metrics for row in one.rows(EVALUATION)] == [row.metrics for row in many.rows(EVALUATION)]
    assert [row.metrics for row in one.rows(FINAL)] == [row.metrics for row in many.rows(FINAL)]
    assert one.rows(EVALUATION)
