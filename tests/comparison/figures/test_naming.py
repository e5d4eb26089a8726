import math

import numpy as np
import pandas as pd
import pytest

from pgexp.comparison.figures.choosing import best
from pgexp.comparison.figures.naming import naming, wrapped
from pgexp.comparison.figures.panels import limits
from pgexp.comparison.figures.style import MINUS, ShortNumbers, counted


def named(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["environment", "configuration_name"])


@pytest.mark.parametrize(
    ("names", "labels", "title"),
    [
        (["baseline=none", "baseline=value"], ["none", "value"], "baseline"),
        (["lr=1 b=[64, 64]", "lr=2 b=[64, 32]"], ["1, [64, 64]", "2, [64, 32]"], "lr, b"),
        (["lr=1 b=x", "lr=2 b=x"], ["1", "2"], "lr"),  # what is the same goes without saying
        (["b=none", "b=value b.lr=1", "b=value b.lr=2"], ["b=none", "b=value b.lr=1", "b=value b.lr=2"], ""),
        (["b=none"], ["b=none"], ""),
        (["CartPole none", "CartPole value"], ["CartPole none", "CartPole value"], ""),
    ],
)
def test_labels_are_what_tells_apart(names: list[str], labels: list[str], title: str) -> None:
    found = naming(named(*(("A-v1", name) for name in names)))
    assert [found.labels[name] for name in names] == labels
    assert found.title == title


def test_what_belongs_to_an_environment_is_not_in_the_label() -> None:
    pairs = [("A-v1", "env=a gain=1 b=x"), ("A-v1", "env=a gain=1 b=y"), ("B-v1", "env=b gain=2 b=x")]
    found = naming(named(*pairs))
    assert list(found.labels.values()) == ["x", "y", "x"]
    assert found.title == "b"


def test_an_environment_alone_is_the_label_where_nothing_else_differs() -> None:
    found = naming(named(("A-v1", "env=a"), ("B-v1", "env=b")))
    assert list(found.labels.values()) == ["env=a", "env=b"]


def test_categories_are_labelled_as_texts() -> None:
    frame = named(("A-v1", "b=x"), ("A-v1", "b=y")).astype("category")
    assert naming(frame).of(frame).tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("two words", "two\nwords"),
        ("abcdefghij", "abcdefg\nhij"),
        ("one two three four five", "one two\nthree\nfour…"),
        ("a" * 30, "aaaaaaa\naaaaaaa\naaaaaa…"),
    ],
)
def test_long_labels_go_on_in_three_lines_at_most(text: str, expected: str) -> None:
    assert wrapped(text, 7) == expected


def test_the_best_of_several_environments_have_the_best_mean_rank() -> None:
    rows = [
        ("A-v1", "x", 3),
        ("A-v1", "y", 2),
        ("A-v1", "z", 1),
        ("B-v1", "x", 0),
        ("B-v1", "y", 900),
        ("B-v1", "z", 5),
    ]
    frame = pd.DataFrame(rows, columns=["environment", "label", "score"])
    # Mean ranks: x (1 + 3) / 2, y (2 + 1) / 2, z (3 + 2) / 2; by mean score z would come before x.
    shown, note = best(frame, frame["label"], frame["score"], 2, "score")
    assert shown["label"].tolist() == ["x", "y", "x", "y"]
    assert note == "the 2 of 3 configurations with the best score"
    unknown = frame["score"].where(frame["label"] != "y")
    assert set(best(frame, frame["label"], unknown, 2, "score").frame["label"]) == {"x", "z"}


@pytest.mark.parametrize(
    ("values", "low", "high", "expected"),
    [
        ([0, 10], [-1, 9], [1, 11], (-1, 11)),  # all has room
        ([0, 10], [-500, 9], [500, 11], (-500, 500)),  # one of two bands is as wide as the median says
        ([0, 10, 10], [-500, 9, 9], [500, 11, 11], (-10, 20)),  # cut at the lines' own range beyond them
        ([4, 4], [3, 3], [6, 6], (3, 6)),  # the lines have no range
        ([4, math.nan], [math.nan] * 2, [math.nan] * 2, (4, 4)),
    ],
)
def test_an_axis_holds_values_and_what_is_legible_of_their_intervals(
    values: list[float], low: list[float], high: list[float], expected: tuple[float, float]
) -> None:
    margin = 0.05 * (expected[1] - expected[0]) or 0.2
    np.testing.assert_allclose(limits(values, low, high), (expected[0] - margin, expected[1] + margin))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 50_000, 1_250_000], ["0", "50k", "1.25M"]),
        ([-0.001, 0.001], [f"{MINUS}0.001", "0.001"]),
        ([1_000_001, 1_000_002], ["1,000,001", "1,000,002"]),
    ],
)
def test_ticks_are_as_short_as_tells_them_apart(values: list[float], expected: list[str]) -> None:
    assert ShortNumbers().format_ticks(values) == expected


@pytest.mark.parametrize(
    ("numbers", "expected"), [([1], "1 seed"), ([5, 5], "5 seeds"), ([5, 3, 4], "3 to 5 seeds"), ([0], "0 seeds")]
)
def test_seeds_are_counted_in_words(numbers: list[int], expected: str) -> None:
    assert counted(numbers, "seed") == expected
