import pandas as pd
import pytest

from pgexp.comparison.design import design
from pgexp.comparison.report.setting import design_facts, named_factors, shared_facts
from tests.comparison.report.made import SCORES, Row, run_rows


def facts(rows: list[Row]) -> dict[str, str]:
    runs = pd.DataFrame(rows)
    return dict(design_facts(runs, design(runs)))


def test_the_design_of_a_sweep_is_told() -> None:
    assert facts(run_rows(SCORES)) == {
        "Environment": "CartPole-v1, solved at a return of 475",
        "Factor baseline": "mean, none",
        "Configurations": "2",
        "Seeds": "3 a configuration (0 to 2); the same count in every configuration",
        "Runs": "6: 6 finished; 6 count",
        "Budget": "20,000 environment steps a run",
        "Score": "mean undiscounted return of 100 episodes after training",
        "Optimizer": "adam",
        "Biased gradient estimates": "none",
        "Code": f"version {'c0de' * 3}, git commit {'f' * 12}; no uncommitted changes",
    }


def test_seeds_that_are_not_the_same_are_told() -> None:
    rows = run_rows({"baseline=none": (1.0, 2.0, 3.0, 4.0)})[:1] + run_rows({"baseline=mean": (1.0, 2.0, 3.0, 4.0)})
    del rows[2]
    assert facts(rows)["Seeds"] == "1 to 3 a configuration (0, 2 to 3); not the same count in every one"


def test_a_crossing_that_is_not_full_says_how_much_of_it_there_is() -> None:
    rows = [
        *run_rows({"baseline=none lr=1": (1.0,)}, **{"param.baseline": "none", "param.lr": 1}),
        *run_rows({"baseline=mean lr=1": (1.0,)}, **{"param.baseline": "mean", "param.lr": 1}),
        *run_rows({"baseline=none lr=2": (1.0,)}, **{"param.baseline": "none", "param.lr": 2}),
    ]
    told = facts(rows)
    assert told["Configurations"] == "3, of 4 combinations"
    assert told["Factor lr"] == "1, 2"


@pytest.mark.parametrize(
    ("greedy", "expected"),
    [
        (True, "100 episodes after training, most probable actions"),
        (False, "100 episodes after training, sampled actions"),
    ],
)
def test_the_score_is_told_with_how_actions_are_chosen(greedy: bool, expected: str) -> None:
    told = facts(run_rows(SCORES, **{"param.evaluation.greedy": greedy}))
    assert told["Score"] == f"mean undiscounted return of {expected}"


def test_failed_and_left_out_runs_are_counted() -> None:
    rows = run_rows(SCORES)
    rows[0] |= {"status": "FAILED", "left_out": "failed"}
    assert facts(rows)["Runs"] == "6: 5 finished, 1 failed; 5 count"


def test_what_biases_the_estimate_is_told_by_configuration() -> None:
    rows = run_rows(SCORES)
    for row in rows[3:]:
        row["biased"] = "baseline BatchMean"
    assert facts(rows)["Biased gradient estimates"] == "baseline=mean (baseline BatchMean)"
    assert facts(run_rows(SCORES, biased="clipping"))["Biased gradient estimates"] == "all (clipping)"


def test_several_states_of_the_code_are_told() -> None:
    rows = run_rows(SCORES)
    rows[0] |= {"code": "beef" * 16, "dirty": True}
    assert facts(rows)["Code"].startswith(
        f"2 versions {'beef' * 3}, {'c0de' * 3}, git commit {'f' * 12}; uncommitted changes in the checkout of 1 of 6 "
    )


def test_what_all_runs_share_leaves_out_what_differs_or_is_absent() -> None:
    rows = run_rows(SCORES)
    rows[0]["param.head"] = "auto"
    assert dict(shared_facts(pd.DataFrame(rows))) == {
        "budget.steps": "20000",
        "optimizer": "adam",
        "evaluation.final_episodes": "100",
        "env.id": "CartPole-v1",
    }


def test_factors_are_called_as_commands_call_them() -> None:
    assert named_factors(design(pd.DataFrame(run_rows(SCORES)))) == {"baseline": ["mean", "none"]}
