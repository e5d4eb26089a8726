"""The text of a config is what OmegaConf makes of it, however much of the one before it is kept."""

import copy
import math
import random
from typing import Any

import pytest
from omegaconf import OmegaConf

from pgexp.cli.yaml_text import YamlText, dumped
from tests.tiers import tiered

KEYS: tuple[Any, ...] = (
    *("a", "b_1", "on", "null", "~", "1", "a b", "a: b", "#", "", "é", "- x", "k" * 64, "k" * 65, "k" * 150, "k" * 200),
    *(2, True, 1.5),
)
VALUES: tuple[Any, ...] = (
    *(0, 1, True, False, None, 0.0, -0.0, 1.0, 1e-300, math.inf, math.nan, "1", "1.0", "true", "null", "", " ", "~"),
    *("a: b", "a #b", "- a", "it's", 'say "so"', "back\\slash", "two\nlines", "\ttab", "é日本", "\U0001f600"),
    *("${seed}", "???", "2024-01-02", "0x10", "1e3", "word " * 40, "x" * 200, "\u202e"),
    *([], {}, [1, [2, "yes"]], [{"a": {"b": []}}]),
)


def drawn(draw: random.Random, depth: int) -> dict[Any, Any]:
    """Return a random config, whose values are often those that another one had there."""
    keys = draw.sample(KEYS, draw.randint(0, 4))
    return {
        key: drawn(draw, depth - 1) if depth and draw.random() < 0.5 else copy.deepcopy(draw.choice(VALUES))
        for key in keys
    }


@pytest.mark.parametrize("seed", tiered(range(20), lambda seed: seed < 4))
def test_any_config_after_any_other(seed: int) -> None:
    draw, texts = random.Random(seed), YamlText()
    for _ in range(30):
        config = drawn(draw, depth=3)
        assert texts.text(config) == OmegaConf.to_yaml(config), config


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), (0.0, -0.0), ("1", 1), (None, "null"), ({}, [])])
def test_values_that_are_equal_and_not_the_same_are_told_apart(before: Any, after: Any) -> None:
    texts = YamlText()
    for value in (before, after, before):
        assert texts.text({"a": {"b": value}, "c": value}) == OmegaConf.to_yaml({"a": {"b": value}, "c": value})


def test_keys_that_are_equal_and_not_the_same_are_told_apart() -> None:
    texts = YamlText()
    for config in ({"a": {1: 2}}, {"a": {True: 2}}, {"a": {1.0: 2}}):
        assert texts.text(config) == OmegaConf.to_yaml(config)


def test_a_section_that_becomes_a_value_and_a_section_again() -> None:
    texts = YamlText()
    for config in ({"a": {"b": 1}}, {"a": 1}, {"a": {}}, {"a": {"b": {"c": 2}}}, {"a": None}, {"a": {"b": 1}}, {}):
        assert texts.text(config) == OmegaConf.to_yaml(config)


@pytest.mark.parametrize("items", [[], ["seed=1"], ["+a='b: c'", "~x"]])
def test_a_list_is_written_as_omegaconf_does(items: list[str]) -> None:
    assert dumped(items) == OmegaConf.to_yaml(OmegaConf.create(items))
