"""Checks of values against parameters: conversions and problems."""

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Le, Lt

from pgexp.schema.check import check, convert, describe
from pgexp.schema.signatures import Parameter
from pgexp.schema.types import Factory, Fraction, NonNegativeInt, PositiveFloat, PositiveInt

NETWORK = {
    "widths": Parameter(list[PositiveInt]),
    "activation": Parameter(Literal["relu", "tanh"]),
    "gain": Parameter(PositiveFloat, 1.0),
}


def test_defaults_are_filled_in() -> None:
    checked, problems = check({"widths": [4], "activation": "relu"}, NETWORK)
    assert problems == []
    assert checked == {"widths": [4], "activation": "relu", "gain": 1.0}


def test_unknown_key() -> None:
    checked, (problem,) = check({"width": 4, "widths": [4], "activation": "relu"}, NETWORK, "network")
    assert "width" not in checked
    assert problem.key == "network.width"
    assert problem.text == "unknown key (got 4). Did you mean 'widths'? Known keys: activation, gain, widths."


def test_unknown_key_without_a_near_name() -> None:
    _, (problem,) = check({"zzz": 4}, {"widths": Parameter(int, 1)})
    assert str(problem) == "zzz: unknown key (got 4). Known keys: widths."


def test_missing_key() -> None:
    checked, (problem,) = check({"widths": [4]}, NETWORK, "network")
    assert "activation" not in checked
    assert str(problem) == "network.activation: is missing. Set it to one of relu, tanh"


def test_all_problems_are_reported() -> None:
    _, problems = check({"widths": [4, 0], "activation": "swish", "gian": 2.0, "gain": 0.0}, NETWORK, "network")
    assert [str(problem) for problem in problems] == [
        "network.widths: must be a list, each a whole number greater than 0 (got [4, 0])",
        "network.activation: must be one of relu, tanh (got 'swish')",
        "network.gian: unknown key (got 2.0). Did you mean 'gain'? Known keys: activation, gain, widths.",
        "network.gain: must be a number greater than 0 (got 0.0)",
    ]


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (0, Fraction, 0.0),
        (1, PositiveFloat | None, 1.0),
        (None, PositiveFloat | None, None),
        ([0.9, 1], tuple[float, float], (0.9, 1.0)),
        ([0.9, 1], tuple[float, float] | None, (0.9, 1.0)),
        ([1, 2], list[int], [1, 2]),
        ({"a": {"b": [1]}}, dict[str, Any], {"a": {"b": [1]}}),
        ({"_target_": "a.B"}, Factory, {"_target_": "a.B"}),
        ("anything", Any, "anything"),
    ],
)
def test_valid_values_are_converted(value: Any, annotation: Any, expected: Any) -> None:
    converted = convert(value, annotation)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (True, int),
        (True, float),
        (False, NonNegativeInt),
        (1, bool),
        (0, bool),
        ("true", bool),
        (3.0, int),
        ("3", int),
        ("0.1", float),
        (3, str),
        (None, int),
        (None, float),
        (0, PositiveInt),
        (-1, NonNegativeInt),
        (0.0, PositiveFloat),
        (1.5, Fraction),
        (-0.5, Fraction),
        (float("nan"), Fraction),
        (float("nan"), PositiveFloat),
        (4, list[int]),
        ([1, True], list[int]),
        ([0.9], tuple[float, float]),
        ([0.9, 0.99, 0.999], tuple[float, float]),
        ([0.9, "x"], tuple[float, float]),
        ([1], dict[str, Any]),
        ("relu ", Literal["relu"]),
        ("a.B", Factory),
        ({"widths": [1]}, Factory),
    ],
)
def test_invalid_values_are_refused(value: Any, annotation: Any) -> None:
    assert refuses(annotation, value)


def refuses(annotation: Any, value: Any) -> bool:
    try:
        convert(value, annotation)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (bool, "true or false"),
        (Fraction, "a number at least 0 and at most 1"),
        (PositiveFloat | None, "a number greater than 0 or null"),
        (Annotated[int, Lt(9), Le(8)], "a whole number less than 9 and at most 8"),
        (Literal["end", "bootstrap"], "one of end, bootstrap"),
        (tuple[float, float], "a list of 2: a number, a number"),
        (list[PositiveInt], "a list, each a whole number greater than 0"),
        (dict[str, Any], "a mapping"),
        (Factory, "a mapping with its own _target_"),
        (Any, "any value"),
    ],
)
def test_descriptions_of_annotations(annotation: Any, words: str) -> None:
    assert describe(annotation) == words
