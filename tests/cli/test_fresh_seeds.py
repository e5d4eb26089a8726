"""Commands of fresh seeds: which configurations make one, and what its words are."""

from itertools import product
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from pgexp.cli.fresh_seeds import Grid, command, grid_of, joined, quoted
from pgexp.cli.recomposing import Composition


def grid(*overrides: str, options: tuple[str, ...] = (), is_searched: bool = False) -> Grid:
    return grid_of(Composition(options, overrides, is_searched), {})


def trained(grids: list[Grid]) -> list[set[tuple[str, ...]]]:
    """Return, of each command, the jobs that Hydra makes of its words."""
    parsed = [OverridesParser.create().parse_overrides(each.words) for each in grids]
    lines = [
        [(one.key_or_group, one.sweep_string_iterator() if one.is_sweep_override() else [one.value()]) for one in each]
        for each in parsed
    ]
    return [set(product(*([f"{key}={value}" for value in values] for key, values in each))) for each in lines]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("a=1", "b=2")], [{("a=1", "b=2")}]),
        ([("a=1", "b=2"), ("a=1", "b=3")], [{("a=1", "b=2"), ("a=1", "b=3")}]),
        ([("a=1", "b=2"), ("a=2", "b=3")], [{("a=1", "b=2")}, {("a=2", "b=3")}]),
        (
            [("a=1", "b=1"), ("a=2", "b=2"), ("a=1", "b=2"), ("a=2", "b=1")],
            [{("a=1", "b=1"), ("a=2", "b=2"), ("a=1", "b=2"), ("a=2", "b=1")}],
        ),
        ([("a=1", "b=1"), ("a=1", "b=2"), ("a=2", "b=2")], [{("a=1", "b=1"), ("a=1", "b=2")}, {("a=2", "b=2")}]),
        ([("a=1",), ("b=1",)], [{("a=1",)}, {("b=1",)}]),
        ([("a=1",), ("a=1",)], [{("a=1",)}]),
    ],
)
def test_commands_train_the_chosen_and_nothing_else(
    given: list[tuple[str, ...]], expected: list[set[tuple[str, ...]]]
) -> None:
    assert trained(joined([grid(*overrides) for overrides in given])) == expected


def test_configurations_of_other_folders_or_of_a_search_stay_apart() -> None:
    one, two = grid("a=1"), grid("a=2", options=("--config-dir=mine",))
    assert joined([one, two]) == [one, two]
    assert two.words == ["--config-dir=mine", "a=2"]
    searched = [grid(f"a={value}", is_searched=True) for value in (1, 2)]
    assert joined(searched) == searched


def test_every_kind_of_override_is_kept_but_for_what_is_the_fresh_sweeps_own() -> None:
    overrides = (
        "seed=3",
        "+env.kwargs.x=1",
        "~env.wrappers",
        "network.widths=[8,8]",
        "sweep.rerun=true",
        "sweep.fail_fast=true",
    )
    kept = grid_of(Composition((), overrides), {"tracking.uri": "sqlite:////a b/mlflow.db"})
    assert kept.words == [
        "+env.kwargs.x=1",
        "~env.wrappers",
        "network.widths=[8,8]",
        "sweep.fail_fast=true",
        "tracking.uri='sqlite:////a b/mlflow.db'",
    ]


def test_a_moved_key_has_its_new_value_only() -> None:
    kept = grid_of(Composition((), ("tracking.uri=sqlite:///old.db", "a=1")), {"tracking.uri": "sqlite:///new.db"})
    assert kept.words == ["a=1", "tracking.uri=sqlite:///new.db"]


def test_a_command_names_the_seeds_who_chose_and_where() -> None:
    words = command(grid("a=1"), range(100, 117), "x-1 and y-2", Path("multirun/here"))
    assert words == [
        "-m",
        "a=1",
        "seed=range(100,117)",
        "sweep.selected_from='x-1 and y-2'",
        "hydra.sweep.dir=multirun/here",
    ]
    by_none = command(grid("a=1"), range(100, 117), "", Path("multirun/here"))
    assert by_none == [words[0], words[1], words[2], words[4]], "single runs are of no sweep that could be named"


@pytest.mark.parametrize("text", ["plain", "a b", "it's", "back\\slash", "a,b", "sqlite:////x/y.db", "[1]", "a\\'"])
def test_a_quoted_text_is_read_as_itself(text: str) -> None:
    override = OverridesParser.create().parse_override(f"key={quoted(text)}")
    assert not override.is_sweep_override()
    value = override.value()
    assert str(getattr(value, "text", value)) == text
