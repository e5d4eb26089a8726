"""Config files: they can be composed and assembled, their keys match the classes, and each key has a comment."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

import tests.probes  # noqa: F401 - registers the probes
from pgexp.execution.assembly import assemble
from pgexp.schema.config import Batch, Budget, Env, Evaluation, Tracking
from pgexp.schema.parse import SUPPLIED, SUPPLIED_TO_NESTED
from tests.conftest import CONF, Compose
from tests.tiers import tiered

FILES = {str(path.relative_to(CONF).with_suffix("")): path for path in sorted(CONF.rglob("*.yaml"))}
OPTIONS = [name for name in FILES if "/" in name and not name.startswith("experiment/")]
EXPERIMENTS = [name for name in FILES if name.startswith("experiment/")]
# The environments that the fast tier builds: one of each kind.
ENVIRONMENTS = {
    f"env/{name}" for name in ("blackjack", "cartpole", "hopper", "lunarlander", "pendulum", "pong", "short_corridor")
}
SECTIONS = {"env": Env, "evaluation": Evaluation, "tracking": Tracking}
# Keys in an option's YAML that are not constructor arguments.
APART = {"algorithm": {"batch"}}
# Further overrides of options that do not fit CartPole.
FITTING = {
    "head/multi_categorical": ("env.id=pgexp-probe/Dials-v0",),
    "head/bernoulli": ("env.id=pgexp-probe/Switches-v0",),
    "head/gaussian": ("env=pendulum",),
    "head/squashed_gaussian": ("env=pendulum",),
    "head/beta": ("env=pendulum",),
    "network/cnn_nature": ("env=pong",),
    "network/cnn_small": ("env.id=pgexp-probe/Bars-v0", "network.channels=first"),
}


def is_fast(name: str) -> bool:
    """Whether the fast tier assembles an option. It includes some environments, optimizers and schedules."""
    group = name.partition("/")[0]
    usual = ("optimizer/adam", "schedule/linear", *ENVIRONMENTS)
    return group not in ("env", "optimizer", "schedule") or name in usual


def read(name: str) -> dict[str, Any]:
    """Return a file's keys, including those of its base file."""
    own = yaml.safe_load(FILES[name].read_text()) or {}
    based_on = [base for base in own.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
    for base in based_on if "/" in name else ():
        own = read(f"{name.partition('/')[0]}/{base}") | own
    return own


def targets(name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the group and the keys of an option and of its nested options."""
    group, keys = name.partition("/")[0], read(name)
    while "_target_" in keys:
        yield group, keys
        group, keys = next(((key, value) for key, value in keys.items() if isinstance(value, dict)), ("", {}))


def test_each_group_has_its_options() -> None:
    assert {name.partition("/")[0] for name in OPTIONS} == {
        *("env", "network", "head", "optimizer", "schedule", "baseline", "algorithm", "evaluation", "tracking"),
        "workers",
    }


@pytest.mark.parametrize("name", tiered(OPTIONS, is_fast))
def test_options_can_be_assembled(configured: Compose, name: str) -> None:
    group, _, option = name.partition("/")
    config = configured(f"{group}={option}", *FITTING.get(name, ()))
    assert config.choices[group] == option
    run = assemble(config)
    state = run.trainer.state
    built = {
        "network": type(run.policy.network),
        "head": type(run.policy.head),
        "schedule": type(run.trainer.schedule),
        "optimizer": type(state.optimizer),
        "baseline": type(state.baseline),
        "algorithm": type(run.trainer.algorithm),
    }
    if group in built:
        assert built[group].__name__ == read(name)["_target_"].rpartition(".")[2]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_can_be_assembled(configured: Compose, name: str) -> None:
    config = configured(f"experiment={name.partition('/')[2]}", "evaluation.video=false")
    assert assemble(config).trainer.progress == 0


@pytest.mark.parametrize("name", [name for name in OPTIONS if "_target_" in read(name)])
def test_keys_of_options_are_constructor_parameters(name: str) -> None:
    for group, keys in targets(name):
        target = keys["_target_"]
        module, _, class_name = target.rpartition(".")
        handed = SUPPLIED.get(group, SUPPLIED_TO_NESTED)
        taken = set(inspect.signature(getattr(import_module(module), class_name)).parameters) - handed
        named = set(keys) - {"_target_"} - APART.get(group, set())
        assert named <= taken
        assert named == taken or target.startswith("torch.optim.")


@pytest.mark.parametrize("name", [name for name in OPTIONS if name.partition("/")[0] in SECTIONS])
def test_keys_of_sections_are_fields(name: str) -> None:
    group = name.partition("/")[0]
    assert set(read("config").get(group, {})) | set(read(name)) == {field.name for field in fields(SECTIONS[group])}


@pytest.mark.parametrize("name", [name for name in OPTIONS if name.startswith("env/")])
def test_environments_set_only_what_differs(name: str) -> None:
    every, own = read("config")["env"], read(name)
    assert isinstance(own.pop("id"), str)
    assert all(every[key] != value for key, value in own.items())


def test_user_environment_needs_only_an_id(configured: Compose) -> None:
    assert configured("env=cartpole").env == Env(id="CartPole-v1")


@pytest.mark.parametrize("name", [name for name in OPTIONS if "wrappers" in read(name)])
def test_keys_of_wrappers_are_constructor_parameters(name: str) -> None:
    for wrapper in read(name)["wrappers"]:
        module, _, class_name = wrapper.pop("_target_").rpartition(".")
        taken = set(inspect.signature(getattr(import_module(module), class_name)).parameters) - {"env"}
        assert set(wrapper) == taken


def test_exclusive_keys_are_both_listed() -> None:
    assert set(read("config")["budget"]) == {field.name for field in fields(Budget)}
    assert set(read("algorithm/reinforce")["batch"]) == {field.name for field in fields(Batch)}


@pytest.mark.parametrize("name", [name for name in OPTIONS if name.startswith("optimizer/")])
def test_every_optimizer_has_a_learning_rate(name: str) -> None:
    assert "lr" in read(name)


@pytest.mark.parametrize("name", FILES)
def test_files_begin_with_a_comment(name: str) -> None:
    lines = [line for line in FILES[name].read_text().splitlines() if not line.startswith("# @package")]
    assert lines[0].startswith("# ")
    assert len(lines[0]) > len("# a few words")


@pytest.mark.parametrize("name", ["config", *OPTIONS])
def test_each_key_has_a_comment(name: str) -> None:
    assert unexplained(FILES[name]) == []


def unexplained(path: Path) -> list[str]:
    """Return the lines of keys without a comment, except those of classes and of Hydra."""
    lines = path.read_text().partition("\nhydra:")[0].splitlines()
    keys = [
        line for line in lines if line.strip() and not line.lstrip().startswith(("#", "- ", "_target_:", "defaults:"))
    ]
    return [line for line in keys if "  # " not in line]


def test_missing_comment_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("# Mine.\n_target_: a.B\nlr: 1.0  # a rate\nnested:\n  gain: 2.0\n")
    assert unexplained(path) == ["nested:", "  gain: 2.0"]
