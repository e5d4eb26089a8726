"""Question, answers, setup and methods of a report."""

import numpy as np
import pandas as pd
import pytest

from pgexp.comparison.design import design
from pgexp.comparison.report.text import answers, design_facts, factor_texts, methods, question, shared_facts
from tests.comparison.report.report_inputs import (
    MEAN,
    NONE,
    PAIR,
    SCORES,
    Row,
    difference_row,
    differing,
    run_rows,
    summaries,
    summary_row,
)

BEST = "On CartPole-v1 baseline=mean has the highest interquartile mean of 2: 238.0 [170.0, 305.0], 3 seeds."


@pytest.mark.parametrize(
    ("factors", "environments", "expected"),
    [
        ({}, ["A"], "What is the final return on A?"),
        ({"baseline": ["none", "mean"]}, ["A"], "How does baseline (none, mean) affect the final return on A?"),
        (
            {"baseline": ["none"], "optimizer.lr": [0.1, 0.2]},
            ["A", "B", "C"],
            "How do baseline (none) and optimizer.lr (0.1, 0.2) affect the final return on A, B and C?",
        ),
        (
            {"lr": list(range(1, 9))},
            ["A"],
            "How does lr (1, 2, 3, 4, 5, 6, 8 values in all) affect the final return on A?",
        ),
    ],
)
def test_question_of_a_design(factors: dict[str, list[object]], environments: list[str], expected: str) -> None:
    assert question(factors, environments) == expected


def test_answer_names_the_best_and_the_verdicts() -> None:
    assert answers(summaries(NONE, MEAN), differing(PAIR)) == [f"{BEST} baseline=mean beats baseline=none."]


def test_answer_for_one_configuration() -> None:
    found = answers(summaries(NONE), differing())
    assert found == ["On CartPole-v1 baseline=none has an interquartile mean of 99.2 [60.0, 140.5], 3 seeds."]


def test_answer_for_one_seed() -> None:
    found = answers(summaries(summary_row("a", n=1, iqm=7.0)), differing())
    assert found == ["On CartPole-v1 a has an interquartile mean of 7.000, one seed."]


def test_answer_without_a_score() -> None:
    found = answers(summaries(summary_row("a", n=0), summary_row("b", n=0)), differing())
    assert found == ["On CartPole-v1 no run has a final score."]


# What five pairs can detect at .05 / 3: 14 pairs, as in the tests of `verdict`.
SHOWN = "14 pairs of seeds would detect a difference of one standard deviation of the differences with power .8."


def pairs(*p: float, **more: object) -> pd.DataFrame:
    values = {"n": 5, "n_reference": 5, "family": 3} | more
    return differing(*(difference_row(f"c{place}", "a", p_holm=one, **values) for place, one in enumerate(p)))


def answer(differences: pd.DataFrame) -> str:
    (found,) = answers(summaries(NONE, MEAN), differences)
    return found.removeprefix(f"{BEST} ")


def test_answer_without_a_significant_difference() -> None:
    assert answer(pairs(0.341, 0.341, 0.53)) == (
        f"No difference is distinguishable at n = 5 pairs (least p = .34, Holm over 3): {SHOWN}"
    )


def test_answer_summarises_other_differences() -> None:
    assert answer(pairs(0.01, 0.06, 0.53)) == (
        f"c0 beats a. No other difference is distinguishable at n = 5 pairs (least p = .06, Holm over 3): {SHOWN}"
    )
    assert answer(pairs(0.01, 0.05, 0.06)) == "c0 beats a; c1 beats a. c2 beats a.", "a single one has its own verdict"


def test_answer_names_three_differences() -> None:
    assert answer(pairs(0.01, 0.01, 0.02)) == "c0 beats a; c1 beats a; c2 beats a."
    assert answer(pairs(0.01, 0.01, 0.02, 0.03, 0.04)) == ("c0 beats a; c1 beats a; c2 beats a; and 2 more.")


def test_answer_separates_paired_and_unpaired() -> None:
    some = pd.concat([pairs(0.2, 0.3), pairs(0.3, n=17, n_reference=19), pairs(0.4, 0.5, paired=False, family=1)])
    assert answer(some) == (
        f"No difference is distinguishable at n = 5 to 19 pairs (least p = .20, Holm over 3): {SHOWN} "
        "No other difference is distinguishable at n = 5 (least p = .40): "
        "17 seeds would detect a difference of one standard deviation with power .8."
    )


def test_answer_for_single_seeds() -> None:
    assert answer(pairs(np.nan, np.nan, n=1)) == (
        "No difference can be tested: train two or more seeds of each configuration."
    )
    assert answer(pairs(0.01, np.nan)) == "c0 beats a."


def test_each_environment_has_an_answer() -> None:
    rows = [NONE, MEAN, summary_row("baseline=none", "Acrobot-v1", iqm=-90.0, n=2)]
    found = answers(
        summaries(*rows),
        differing(PAIR, difference_row("x", "y", "Acrobot-v1", p_holm=0.2, verdict="On Acrobot only.")),
    )
    assert len(found) == 2
    assert "Acrobot only" not in found[0]
    assert found[1].endswith(", 2 seeds. On Acrobot only.")


def facts(rows: list[Row]) -> dict[str, str]:
    runs = pd.DataFrame(rows)
    return dict(design_facts(runs, design(runs)))


def test_design_facts() -> None:
    assert facts(run_rows(SCORES)) == {
        "Environment": "CartPole-v1, solved at a return of 475",
        "Factor baseline": "mean, none",
        "Configurations": "2",
        "Seeds": "3 per configuration (0 to 2); the same count in every configuration",
        "Runs": "6: 6 finished; 6 count",
        "Budget": "20,000 environment steps per run",
        "Score": "mean undiscounted return of 100 episodes after training",
        "Optimizer": "adam",
        "Biased gradient estimates": "none",
        "Code": f"version {'c0de' * 3}, git commit {'f' * 12}; no uncommitted changes",
    }


def test_facts_on_unequal_seeds() -> None:
    rows = run_rows({"baseline=none": (1.0, 2.0, 3.0, 4.0)})[:1] + run_rows({"baseline=mean": (1.0, 2.0, 3.0, 4.0)})
    del rows[2]
    assert facts(rows)["Seeds"] == "1 to 3 per configuration (0, 2 to 3); not the same count in every one"


def test_facts_on_an_incomplete_factorial() -> None:
    rows = [
        *run_rows({"baseline=none lr=1": (1.0,)}, **{"param.baseline": "none", "param.lr": 1}),
        *run_rows({"baseline=mean lr=1": (1.0,)}, **{"param.baseline": "mean", "param.lr": 1}),
        *run_rows({"baseline=none lr=2": (1.0,)}, **{"param.baseline": "none", "param.lr": 2}),
    ]
    found = facts(rows)
    assert found["Configurations"] == "3, of 4 combinations"
    assert found["Factor lr"] == "1, 2"


@pytest.mark.parametrize(
    ("greedy", "expected"),
    [
        (True, "100 episodes after training, most probable actions"),
        (False, "100 episodes after training, sampled actions"),
    ],
)
def test_facts_on_the_score(greedy: bool, expected: str) -> None:
    found = facts(run_rows(SCORES, **{"param.evaluation.greedy": greedy}))
    assert found["Score"] == f"mean undiscounted return of {expected}"


def test_facts_on_failed_and_excluded_runs() -> None:
    rows = run_rows(SCORES)
    rows[0] |= {"status": "FAILED", "exclusion": "failed"}
    assert facts(rows)["Runs"] == "6: 5 finished, 1 failed; 5 count"


def test_facts_on_biased_estimates() -> None:
    rows = run_rows(SCORES)
    for row in rows[3:]:
        row["biased"] = "baseline BatchMean"
    assert facts(rows)["Biased gradient estimates"] == "baseline=mean (baseline BatchMean)"
    assert facts(run_rows(SCORES, biased="clipping"))["Biased gradient estimates"] == "all (clipping)"


def test_facts_on_several_versions_of_the_code() -> None:
    rows = run_rows(SCORES)
    rows[0] |= {"code": "beef" * 16, "dirty": True}
    assert facts(rows)["Code"].startswith(
        f"2 versions {'beef' * 3}, {'c0de' * 3}, git commit {'f' * 12}; uncommitted changes in the checkout of 1 of 6 "
    )


def test_shared_facts() -> None:
    rows = run_rows(SCORES)
    rows[0]["param.head"] = "auto"
    assert dict(shared_facts(pd.DataFrame(rows))) == {
        "budget.steps": "20000",
        "optimizer": "adam",
        "evaluation.final_episodes": "100",
        "env.id": "CartPole-v1",
    }


def test_factor_texts() -> None:
    assert factor_texts(design(pd.DataFrame(run_rows(SCORES)))) == {"baseline": ["mean", "none"]}


def methods_text(*rows: dict[str, object]) -> str:
    return " ".join(methods(differing(*rows)))


def test_methods_without_a_comparison() -> None:
    assert methods(differing())[0].startswith("There is no comparison")


def test_methods_of_a_paired_test() -> None:
    assert methods_text(PAIR).startswith(
        "Test of the difference of the mean final returns: paired t test. Seeds are paired: both"
    )
    assert "On CartPole-v1 there is one test, which needs no correction." in methods_text(PAIR)


def test_methods_of_several_tests() -> None:
    both = {"family": 2, "p": 0.1}
    rows = [difference_row("b", "a", **both), difference_row("c", "a", **both, paired=False, test="Welch's t test")]
    text = methods_text(*rows)
    assert ": paired t test (1 of 2 differences). Seeds are paired" in text
    assert ": Welch's t test (1 of 2 differences). Seeds are not paired" in text
    assert "On CartPole-v1, p (Holm) is corrected for 2 tests by the method of Holm 1979." in text


def test_methods_of_a_partly_shown_family() -> None:
    assert "for 10 tests by the method of Holm 1979; 1 of them are shown" in methods_text(PAIR | {"family": 10})


def test_untested_pairs_are_not_in_the_family() -> None:
    alone = difference_row("c", "a", n=1, n_reference=1, family=0)
    assert "Holm 1979" not in methods_text(alone)
    assert "there is one test, which needs no correction" in methods_text(PAIR, alone | {"family": 1})


def test_power_agrees_with_published_numbers() -> None:
    # Cohen 1988, table 2.4.1: 17 per group for d = 1, two-sided .05, power .8; 26 for d = .8 detect d = .8.
    text = methods_text(difference_row("b", "a", n=26, n_reference=26, paired=False))
    assert (
        "With 26 seeds each, an uncorrected test detects a difference of 0.8 standard deviations (of the scores)"
        in text
    )
    assert "with power .8; one standard deviation needs 17 seeds each." in text


def test_methods_of_single_seeds() -> None:
    row = difference_row("b", "a", n=1, n_reference=1, test="", caveat="One caveat.")
    text = methods_text(row, row | {"configuration_name": "c"})
    assert "power" not in text
    assert text.count("One caveat.") == 1
    assert "final returns: none." in text
