import numpy as np
import pandas as pd
import pytest

from pgexp.comparison.report.answer import answers, question
from tests.comparison.report.made import MEAN, NONE, PAIR, difference_row, differing, summaries, summary_row

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
def test_the_question_is_the_one_that_the_design_asks(
    factors: dict[str, list[object]], environments: list[str], expected: str
) -> None:
    assert question(factors, environments) == expected


def test_the_answer_is_the_best_configuration_and_what_the_tests_say() -> None:
    assert answers(summaries(NONE, MEAN), differing(PAIR)) == [f"{BEST} baseline=mean beats baseline=none."]


def test_one_configuration_is_told_by_itself() -> None:
    told = answers(summaries(NONE), differing())
    assert told == ["On CartPole-v1 baseline=none has an interquartile mean of 99.2 [60.0, 140.5], 3 seeds."]


def test_one_seed_has_no_interval() -> None:
    told = answers(summaries(summary_row("a", n=1, iqm=7.0)), differing())
    assert told == ["On CartPole-v1 a has an interquartile mean of 7.000, one seed."]


def test_no_score_is_no_answer() -> None:
    told = answers(summaries(summary_row("a", n=0), summary_row("b", n=0)), differing())
    assert told == ["On CartPole-v1 no run has a final score."]


# What five pairs can show at .05 / 3, and at .05 / 6: 14 and 16 pairs are what verdict's tests hold, too.
SHOWN = "14 pairs of seeds would show a difference of one standard deviation of the differences with power .8."


def pairs(*p: float, **more: object) -> pd.DataFrame:
    values = {"n": 5, "n_reference": 5, "family": 3} | more
    return differing(*(difference_row(f"c{place}", "a", p_holm=one, **values) for place, one in enumerate(p)))


def said(differences: pd.DataFrame) -> str:
    (told,) = answers(summaries(NONE, MEAN), differences)
    return told.removeprefix(f"{BEST} ")


def test_where_nothing_is_told_apart_it_is_said_once_with_what_would_tell_it() -> None:
    assert said(pairs(0.341, 0.341, 0.53)) == (
        f"No difference is distinguishable at n = 5 pairs (least p = .34, Holm over 3): {SHOWN}"
    )


def test_what_is_told_apart_is_named_and_the_rest_told_together() -> None:
    assert said(pairs(0.01, 0.06, 0.53)) == (
        f"c0 beats a. No other difference is distinguishable at n = 5 pairs (least p = .06, Holm over 3): {SHOWN}"
    )
    assert said(pairs(0.01, 0.05, 0.06)) == "c0 beats a; c1 beats a. c2 beats a.", "a single one has words of its own"


def test_of_many_that_are_told_apart_three_are_named() -> None:
    assert said(pairs(0.01, 0.01, 0.02)) == "c0 beats a; c1 beats a; c2 beats a."
    assert said(pairs(0.01, 0.01, 0.02, 0.03, 0.04)) == ("c0 beats a; c1 beats a; c2 beats a; and 2 more.")


def test_pairs_of_different_sizes_are_told_by_the_fewest_and_unpaired_ones_apart() -> None:
    some = pd.concat([pairs(0.2, 0.3), pairs(0.3, n=17, n_reference=19), pairs(0.4, 0.5, paired=False, family=1)])
    assert said(some) == (
        f"No difference is distinguishable at n = 5 to 19 pairs (least p = .20, Holm over 3): {SHOWN} "
        "No other difference is distinguishable at n = 5 (least p = .40): "
        "17 seeds would show a difference of one standard deviation with power .8."
    )


def test_single_seeds_are_not_tested() -> None:
    assert said(pairs(np.nan, np.nan, n=1)) == (
        "No difference can be tested: train two seeds of each configuration or more."
    )
    assert said(pairs(0.01, np.nan)) == "c0 beats a."


def test_each_environment_has_an_answer_of_its_own() -> None:
    rows = [NONE, MEAN, summary_row("baseline=none", "Acrobot-v1", iqm=-90.0, n=2)]
    told = answers(
        summaries(*rows), differing(PAIR, difference_row("x", "y", "Acrobot-v1", p_holm=0.2, words="On Acrobot only."))
    )
    assert len(told) == 2
    assert "Acrobot only" not in told[0]
    assert told[1].endswith(", 2 seeds. On Acrobot only.")
