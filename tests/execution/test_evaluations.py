"""When runs are evaluated, what is written of it, and that waiting for one another shows in no number."""

import pytest

from pgexp.learning.evaluator import Subject
from pgexp.storage.tables import write_tables
from tests.conftest import Compose
from tests.execution.conftest import Train, Trained

EVALUATION = "evaluation/"
FINAL = "final/"


@pytest.mark.parametrize(
    ("every", "steps"),
    [
        ("10", [16, 24, 32]),  # updates end at 8, 16, 24 and 32; multiples are 10, 20 and 30
        ("8", [8, 16, 24, 32]),
        ("3", [8, 16, 24, 32]),  # an update that passes several multiples is evaluated once
        ("20", [24]),
        ("33", []),
        ("null", []),
    ],
)
def test_a_run_is_evaluated_at_the_first_update_at_or_after_each_multiple(
    clock: Compose, experiment: Train, every: str, steps: list[int]
) -> None:
    trained = experiment(clock(f"evaluation.every={every}")).run()
    assert trained.steps(0, EVALUATION) == steps
    assert trained.steps(0, FINAL) == [32]


def test_multiples_that_one_update_passes_are_not_made_up_for_by_later_ones(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("+env.kwargs.length=0", "seed=2", "evaluation.every=6")).run()
    assert trained.steps(0, "train") == [14, 23, 30, 35]  # 12; 18; 24 and 30; none
    assert trained.steps(0, EVALUATION) == [14, 23, 30]


def test_an_evaluation_s_row_follows_the_row_of_its_update(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("evaluation.every=16")).run()
    groups = ("train", EVALUATION, FINAL)
    kinds = [[group for group in groups if row in trained.rows(0, group)] for row in trained.rows()]
    assert kinds == [["train"], ["train"], [EVALUATION], ["train"], ["train"], [EVALUATION], [FINAL]]


def test_an_evaluation_s_row_sums_up_its_episodes(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("evaluation.every=32", "evaluation.episodes=5")).run()
    (row,) = trained.rows(0, EVALUATION)
    least, mean, most = (row.metrics[f"evaluation/return_{name}"] for name in ("min", "mean", "max"))
    assert 0 <= least < mean < most <= 4
    assert row.metrics["evaluation/episode_length_mean"] == 4
    assert " of 5 episodes\n" in (trained.folders[0] / "run.log").read_text()


def test_the_final_evaluation_is_of_the_last_policy_on_streams_of_its_own(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("env.id=CartPole-v1", "seed=5")).run()
    outcome = trained.experiment.outcomes[0]
    (again,) = trained.pack.evaluator.evaluate(trained.pack.stacked, [Subject(5, "final")], 3, greedy=False)
    assert outcome.returns.tolist() == again.returns.tolist()
    (row,) = trained.rows(0, FINAL)
    assert row.metrics["final/return_mean"] == again.returns.mean()
    assert row.metrics["final/return_std"] == again.returns.std()
    assert row.metrics["final/return_min"] == again.returns.min()
    assert row.metrics["final/return_max"] == again.returns.max()


def test_no_final_episodes_are_no_final_evaluation(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("evaluation.final_episodes=0")).run()
    assert trained.steps() == [8, 16, 24, 32]
    assert trained.experiment.outcomes == {}
    assert trained.end() == ("FINISHED", "")


def test_evaluating_changes_nothing_in_training(clock: Compose, experiment: Train) -> None:
    often, never = experiment(clock("evaluation.every=8")).run(), experiment(clock()).run()
    for left, right in zip(often.rows(0, "train"), never.rows(0, "train"), strict=True):
        assert untimed(left.metrics) == untimed(right.metrics)


def untimed(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not name.startswith("timing/")}


def tables(trained: Trained) -> list[bytes]:
    for folder in trained.folders:
        write_tables(folder)
    return [(folder / "metrics.parquet").read_bytes() for folder in trained.folders]


def test_evaluations_that_wait_for_those_of_a_pack_are_the_same(configured: Compose, experiment: Train) -> None:
    short = ("budget.steps=600", "network.widths=[8]", "algorithm.batch.episodes=2", "evaluation.every=90")
    episodes = ("evaluation.episodes=2", "evaluation.final_episodes=2")
    configs = [configured(*short, *episodes, f"seed={seed}") for seed in range(5)]
    pack = experiment(*configs).run()
    assert any(pack.steps(run) != sorted(pack.steps(run)) for run in range(5)), "none was made later than it was due"
    assert tables(pack) == [tables(experiment(config).run())[0] for config in configs]


def test_runs_of_different_budgets_are_each_evaluated_at_their_own_end(clock: Compose, experiment: Train) -> None:
    trained = experiment(clock("budget.steps=8"), clock("budget.steps=24")).run()
    assert [trained.steps(run, FINAL) for run in (0, 1)] == [[8], [24]]
    assert [trained.end(run)[0] for run in (0, 1)] == ["FINISHED", "FINISHED"]
