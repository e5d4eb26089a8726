"""Keys of runs, which depend on the values that determine results."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from pgexp.schema.config import Option, RunConfig
from pgexp.schema.identity import config_mapping, configuration_key, identity_fields, run_key, to_plain
from pgexp.schema.parse import parse
from tests.schema.conftest import Given

OF_NO_CONSEQUENCE = {
    "tracking.uri",
    "tracking.experiment",
    "tracking.max_points",
    "tracking.metrics",
    "registry.name",
    "checkpoint.seconds",
    "evaluation.video",
    "env.vectorization",
    "choices.baseline",
}


@pytest.fixture
def run(given: Given) -> RunConfig:
    return parse(given(), {"baseline": "value"})


def variants(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield copies of a part of a config with one changed value, each with the path of the value."""
    if isinstance(value, Option):
        yield "._target_", replace(value, target=value.target + "X")
        yield from ((place, replace(value, arguments=other)) for place, other in variants(value.arguments))
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        yield from ((place, replace(value, **other)) for place, other in variants(parts))
    elif isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from ((f".{name}{place}", {**value, name: other}) for place, other in variants(part))
    else:
        yield "", _another(value)


def _another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case list() | tuple():
            return [*value, 1]
        case {}:
            return {"added": 1}
        case None:
            return 3
    raise TypeError(value)


def test_key_depends_on_identity_fields_only(run: RunConfig) -> None:
    others = {place[1:]: other for place, other in variants(run)}
    unchanged = {place for place, other in others.items() if run_key(other) == run_key(run)}
    assert unchanged == OF_NO_CONSEQUENCE
    assert {
        "seed",
        "algorithm.gamma",
        "baseline.network.widths",
        "env.num_envs",
        "env.kwargs",
        "env.dynamics",
    } < others.keys()


def test_keys_are_distinct(run: RunConfig) -> None:
    keys = [run_key(other) for place, other in variants(run) if place[1:] not in OF_NO_CONSEQUENCE]
    assert len(set(keys)) == len(keys)


def test_configuration_key_ignores_the_seed(run: RunConfig) -> None:
    others = {place[1:]: other for place, other in variants(run)}
    unchanged = {place for place, other in others.items() if configuration_key(other) == configuration_key(run)}
    assert unchanged == OF_NO_CONSEQUENCE | {"seed"}


def test_order_of_keys_does_not_matter(given: Given) -> None:
    def reversed_order(value: Any) -> Any:
        return {name: reversed_order(value[name]) for name in reversed(value)} if isinstance(value, dict) else value

    config = given({"env.kwargs": {"a": 1, "b": {"c": 2, "d": 3}}})
    assert json.dumps(config) != json.dumps(reversed_order(config))
    assert run_key(parse(config)) == run_key(parse(reversed_order(config)))


def test_default_num_envs_gives_the_same_key(given: Given) -> None:
    config = {"algorithm.batch.episodes": 12, "env.num_envs": None}
    assert run_key(parse(given(config))) == run_key(parse(given(config | {"env.num_envs": 12})))
    assert run_key(parse(given(config))) != run_key(parse(given(config | {"env.num_envs": 6})))


def test_integer_gives_the_same_key_as_its_float(given: Given) -> None:
    assert run_key(parse(given({"optimizer.lr": 1}))) == run_key(parse(given({"optimizer.lr": 1.0})))


def test_keys_are_equal_in_every_process(given: Given) -> None:
    code = """
import json, sys
from pgexp.schema.identity import run_key
from pgexp.schema.parse import parse
print(run_key(parse(json.load(sys.stdin))))
"""
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(given()),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == run_key(parse(given()))


def test_config_with_wrappers_round_trip(given: Given) -> None:
    wrapper = {"_target_": "gymnasium.wrappers.FrameStackObservation", "stack_size": 3}
    run = parse(given({"env.wrappers": [wrapper]}))
    assert config_mapping(run)["env"]["wrappers"] == [wrapper]
    assert parse(config_mapping(run), run.choices) == run


DYNAMICS = "tests.user_parts.FaultyDynamics"


def test_key_depends_on_arguments_of_dynamics(given: Given) -> None:
    """The class has the defaults fault: required, at: 60."""
    options = [
        {"_target_": DYNAMICS, "fault": 0},
        {"_target_": DYNAMICS, "fault": 1},
        {"_target_": DYNAMICS, "fault": 0, "at": 3},
        {"_target_": "tests.user_parts.Levers"},
    ]
    runs = [parse(given({"env.dynamics": option})) for option in [*options, None]]
    assert len({run_key(run) for run in runs}) == 5
    assert len({configuration_key(run) for run in runs}) == 5
    again = parse(given({"env.dynamics": {"at": 3, "fault": 0, "_target_": DYNAMICS}}))
    assert run_key(again) == run_key(runs[2])


def test_key_ignores_vectorization_of_dynamics(given: Given) -> None:
    dynamics = {"_target_": DYNAMICS, "fault": 0}
    keys = {
        run_key(parse(given({"env.dynamics": dynamics, "env.vectorization": name})))
        for name in ("auto", "compiled", "sync", "async")
    }
    assert len(keys) == 1


def test_absent_dynamics_are_not_in_the_identity(given: Given) -> None:
    """Gymnasium environments keep the keys that they had before `env.dynamics` existed."""
    assert "dynamics" not in json.dumps(identity_fields(parse(given())))
    with_dynamics = parse(given({"env.dynamics": {"_target_": DYNAMICS, "fault": 0}}))
    assert identity_fields(with_dynamics)["env"]["dynamics"] == {"_target_": DYNAMICS, "fault": 0}


def test_config_with_dynamics_round_trip(given: Given) -> None:
    run = parse(given({"env.id": "Faulty", "env.dynamics": {"_target_": DYNAMICS, "fault": 2, "at": 5}}))
    assert parse(config_mapping(run), run.choices) == run


def test_order_of_arguments_does_not_matter() -> None:
    nested = {"b": 1, "a": [{"d": 2, "c": 3}]}
    option = Option("m.C", {"second": nested, "first": 0})
    assert json.dumps(to_plain(option)) == (
        '{"_target_": "m.C", "first": 0, "second": {"a": [{"c": 3, "d": 2}], "b": 1}}'
    )
