import math
import pickle
from collections.abc import Sequence

import pandas as pd
import pytest

from pgexp.comparison.counting import notes
from pgexp.comparison.irregularities import Note
from pgexp.schema import names

METRIC = ["run_id", "steps", "metric", "value"]


def runs_of(count: int = 4, **columns: Sequence[object]) -> pd.DataFrame:
    """Return so many runs that count and have nothing irregular, but for the columns given."""
    regular: dict[str, object] = {
        "run_id": [f"r{number}" for number in range(count)],
        "environment": "CartPole-v1",
        "configuration": [f"k{number % 2}" for number in range(count)],
        "configuration_name": [f"lr={number % 2}" for number in range(count)],
        "seed": [number // 2 for number in range(count)],
        "status": "FINISHED",
        "start": [pd.Timestamp(number, unit="s") for number in range(count)],
        names.FINAL_RETURN: 1.0,
        "code": "c0de",
        "dirty": False,
        "nonfinite": math.nan,
        "param.budget.steps": 100,
        "param.evaluation.every": 50,
        "param.evaluation.greedy": False,
        "param.evaluation.final_episodes": 100,
    }
    return pd.DataFrame(regular | columns)


def evaluated(runs: pd.DataFrame, *steps: Sequence[int]) -> pd.DataFrame:
    """Return metrics of runs that were evaluated at these steps, each at its own, or all at the only ones."""
    each = steps if len(steps) > 1 else steps * len(runs)
    rows = [
        (run, step, names.EVALUATION_RETURN, 1.0) for run, own in zip(runs["run_id"], each, strict=True) for step in own
    ]
    return pd.DataFrame(rows, columns=METRIC).astype({"run_id": "category", "metric": "category"})


def told(runs: pd.DataFrame, *steps: Sequence[int]) -> dict[str, str]:
    """Return the notes by their kinds."""
    return {note.kind: note for note in notes(runs, evaluated(runs, *(steps or ([50, 100],))))}


def test_what_is_equal_needs_no_note() -> None:
    assert told(runs_of()) == {}


def test_a_note_is_a_text_that_knows_its_kind_and_stays_so_when_copied() -> None:
    note = Note("code", "Two versions.")
    assert note == "Two versions."
    copy = pickle.loads(pickle.dumps(note))
    assert (copy, copy.kind) == ("Two versions.", "code")


@pytest.mark.parametrize(
    ("column", "values", "kind", "note"),
    [
        (
            "param.evaluation.greedy",
            [True, False, True, True],
            "evaluation",
            "The scores are not comparable, since final evaluations differ: evaluation.greedy is True (3 runs), "
            "False (1 run).",
        ),
        (
            "param.evaluation.final_episodes",
            [20, 20, 100, 100],
            "evaluation",
            "The scores are not comparable, since final evaluations differ: evaluation.final_episodes is "
            "20 (2 runs), 100 (2 runs).",
        ),
        (
            "param.evaluation.every",
            [50, 50, math.nan, 50],
            "grid",
            "Evaluations are unequally far apart: evaluation.every is 50.0 (3 runs), None (1 run).",
        ),
        (
            "param.budget.steps",
            [100, 100, 80, 100],
            "budget",
            "The runs have unequal budgets: budget.steps is 100 (3 runs), 80 (1 run).",
        ),
        (
            "code",
            ["0123456789", "0123456789", "abcdefghij", ""],
            "code",
            "The runs come of 2 versions of the code: 01234567 (2 runs), abcdefgh (1 run).",
        ),
        (
            "dirty",
            [True, None, False, True],
            "dirty",
            "Trained from a checkout with uncommitted changes: 2 of 4 runs (lr=0 seed 0, lr=1 seed 1).",
        ),
        (
            "nonfinite",
            [math.nan, 0, 3, 1],
            "nonfinite_values",
            "With metrics that were NaN or infinite at times, which curves pass over: "
            "2 of 4 runs (lr=0 seed 1, lr=1 seed 1).",
        ),
    ],
)
def test_what_is_unequal_is_told(column: str, values: Sequence[object], kind: str, note: str) -> None:
    assert told(runs_of(**{column: values})) == {kind: note}


def test_settings_that_differ_between_environments_alone_are_the_tasks() -> None:
    environments = ["CartPole-v1", "Acrobot-v1"] * 2
    runs = runs_of(environment=environments, **{"param.budget.steps": [100, 80] * 2})
    assert told(runs) == {}


def test_what_does_not_count_makes_nothing_unequal() -> None:
    runs = runs_of(5, code=["c0de"] * 4 + ["other"], status=["FINISHED"] * 4 + ["FAILED"])
    runs.loc[4, names.FINAL_RETURN] = math.nan
    assert set(told(runs)) == {"failed", "missing"}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_told_from_the_metrics_too(value: float) -> None:
    runs = runs_of()
    metrics = evaluated(runs, [50, 100])
    metrics.loc[0, "value"] = value
    (note,) = notes(runs, metrics)
    assert note.kind == "nonfinite_values"
    assert note.endswith("1 of 4 runs (lr=0 seed 0).")


def test_a_run_that_ended_short_of_its_budget_is_named() -> None:
    notes = told(runs_of(), [50, 100], [50, 100], [50, 99], [50, 100])
    assert notes["short"] == "Ended before their budget was spent: 1 of 4 runs (lr=0 seed 1)."


def test_lengths_that_differ_by_more_than_a_hundredth_are_told() -> None:
    assert "length" not in told(runs_of(), [50, 100], [50, 101], [50, 100], [50, 100])
    notes = told(runs_of(), [50, 100], [50, 102], [50, 100], [50, 1100])
    assert notes["length"] == "Runs of one budget ended at unequal lengths: 100 to 1,100 steps."


def test_evaluations_at_other_steps_are_told_with_the_largest_difference() -> None:
    notes = told(runs_of(), [50, 100], [57, 101], [50, 100], [52, 100])
    assert notes == {
        "steps": "Evaluations stand at steps that differ by up to 7 between runs, since an update is finished first; "
        "curves interpolate between them."
    }


def test_a_run_that_lacks_an_evaluation_is_named_and_shifts_no_other() -> None:
    notes = told(runs_of(), [50, 100], [50, 100], [100], [50, 100])
    assert notes == {"evaluations": "Evaluated less often than others of their budget: 1 of 4 runs (lr=0 seed 1)."}


def test_missing_seeds_are_told() -> None:
    assert told(runs_of(3)) == {"missing": "Missing, though other configurations have the seed: 1 run (lr=1 seed 1)."}


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_does_not_count(score: float) -> None:
    runs = runs_of(**{names.FINAL_RETURN: [score, 1.0, 2.0, 3.0], "final/episode_length_mean": 9.0})
    assert told(runs) == {
        "nonfinite_score": "Left out as evaluated at the end with a return that is not finite: "
        "1 of 4 runs (lr=0 seed 0)."
    }


def test_columns_that_a_frame_lacks_say_nothing() -> None:
    runs = runs_of()[["run_id", "configuration", "configuration_name", "environment", "seed", "status", "start"]]
    assert told(runs.assign(**{names.FINAL_RETURN: 1.0})) == {}


@pytest.mark.parametrize("parameter", ["max_episode_steps", "kwargs.gravity", "wrappers.0.noop_max"])
def test_environments_of_one_name_that_are_made_differently_are_told(parameter: str) -> None:
    column = f"param.env.{parameter}"
    text = told(runs_of(**{column: [200, 200, 500, None]}))["task"]
    assert text.startswith("The scores may not be comparable, since an environment is made differently: ")
    assert f"env.{parameter} is 200.0 (2 runs), 500.0 (1 run), None (1 run)" in text
    assert told(runs_of(**{column: [200] * 4})) == {}
    assert told(runs_of(**{column: [1, 2, 1, 2], "environment": ["A-v0", "B-v0"] * 2})) == {}
