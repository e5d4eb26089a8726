import math
import re

import pytest

from pgexp.comparison.comparing import compare
from pgexp.comparison.footnotes import footnotes
from tests.comparison.by_hand import Scores, evaluations, seed_runs


def told(scores: Scores, threshold: float = math.nan) -> str:
    return "\n".join(footnotes(compare(seed_runs(scores, threshold), evaluations({}))))


def test_the_methods_of_the_intervals_are_named() -> None:
    text = told({"a": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert "95 % intervals over seeds; the IQM's: trimmed t; the mean's: t." in text


def test_without_an_interval_no_method_is_named() -> None:
    assert "95 % intervals" not in told({"a": [1.0]})


def test_caveats_name_what_they_are_of() -> None:
    text = told({"skewed": [500.0, 100.0, 470.0, 490.0, 480.0], "even": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert "skewed, mean: The scores look skewed" in text
    assert "even, " not in text


def test_one_caveat_of_many_configurations_is_told_once() -> None:
    text = told({f"lr={n}": [n + 1.0, n + 2.0, n + 3.0] for n in range(5)})
    assert text.count("which 3 seeds cannot show") == 1
    assert "lr=0, lr=1, lr=2 and 2 more, IQM and mean: " in text


def test_where_no_run_is_lost_it_is_told_how_many_may_be() -> None:
    """No loss in n runs is compatible with a share p as long as (1 - p)^n >= .025: p = .522 at 5 and .308 at 10."""
    assert "5 seeds can't rule out that up to 52 % do" in told({"a": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert "10 to 5 seeds can't rule out that up to 31 % to 52 % do" in told({"a": range(10), "b": range(5)})


def test_lost_runs_are_told() -> None:
    runs = seed_runs({"a": [1.0, 2.0, 3.0, math.nan]})
    runs.loc[3, "status"] = "FAILED"
    text = "\n".join(footnotes(compare(runs, evaluations({}))))
    assert "1 run failed, 0 collapsed" in text
    assert "can't rule out" not in text


@pytest.mark.parametrize("threshold", [475.0, math.nan])
def test_the_steps_are_explained_where_there_are_some(threshold: float) -> None:
    assert ("Kaplan-Meier" in told({"a": [1.0, 2.0]}, threshold)) is not math.isnan(threshold)


def test_the_best_of_several_is_overstated_by_its_own_seeds() -> None:
    alike = {"a": [1.0, 5.0, 3.0, 2.0], "b": [2.0, 4.0, 1.0, 5.0], "c": [5.0, 1.0, 3.0, 4.0]}
    assert re.search(r"best of 3 on the seeds that chose it, c is overstated by about \d\.\d{3} in", told(alike))
    large = {name: [score + 400 for score in scores] for name, scores in alike.items()}
    assert re.search(r"c is overstated by about \d\.\d in the mean", told(large)), "the decimals of the table"
    assert "pgexp-compare --select" in told(alike)


def test_what_is_far_the_best_is_not_overstated_and_neither_is_the_only_one() -> None:
    assert "overstated" not in told({"a": [1.0, 2.0], "b": [1001.0, 1002.0]})
    assert "overstated" not in told({"a": [1.0, 2.0]})


@pytest.mark.slow
@pytest.mark.parametrize("scores", [{"a": [1.0], "b": [3.0]}, {"a": [1.0, 2.0, 3.0], "b": [7.0]}])
def test_the_best_of_several_is_overstated_where_single_seeds_can_t_tell_by_how_much(scores: Scores) -> None:
    assert "best of 2 on the seeds that chose it, b is overstated in the mean, by how much" in told(scores)
