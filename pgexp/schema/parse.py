"""From the composed config, plain mappings and values, to the typed RunConfig. Every mistake dies here."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from pgexp.schema.check import check, is_factory
from pgexp.schema.config import (
    Batch,
    Budget,
    Checkpoint,
    Env,
    Evaluation,
    Option,
    Registry,
    RunConfig,
    Tracking,
    parameters_of,
    require_consistent,
)
from pgexp.schema.errors import ConfigError, Problem, unknown
from pgexp.schema.signatures import Parameter, parameters
from pgexp.schema.types import PositiveFloat

Section = TypeVar("Section")

# What assembly hands to the constructor of a group's option; these are not configured.
HANDED_IN: Mapping[str, frozenset[str]] = {
    "network": frozenset({"inputs", "outputs", "shape"}),
    "head": frozenset({"space"}),
    "optimizer": frozenset({"params"}),
    "schedule": frozenset(),
    "baseline": frozenset({"inputs", "shape", "seed", "dtype", "gamma", "scores", "greedy", "shared"}),
    "algorithm": frozenset({"episodes", "diagnostics"}),
    "env.wrappers": frozenset({"env"}),
    "env.dynamics": frozenset(),
    "workers": frozenset(),
}
# What a nested option is handed by the option that it stands in, which builds it.
HANDED_TO_NESTED = frozenset({"inputs", "outputs", "shape", "seed", "dtype", "params"})

# What stands in an option's mapping beside its constructor's arguments.
BESIDE: Mapping[str, tuple[str, ...]] = {"algorithm": ("batch",)}

_REFUSED_OPTIMIZERS = {
    "LBFGS": "it evaluates the loss several times a step, on a batch that policy gradients sample once",
    "SparseAdam": "it takes sparse gradients only; policy gradients here are dense",
    "Muon": "it optimizes matrices only; biases need another optimizer beside it",
}
_REFUSED_ARGUMENTS = {
    "maximize": "the loss is already the negative return",
    "capturable": "it is for CUDA graphs",
    "differentiable": "the step is not differentiated",
}
_VALUES = ("seed", "dtype", "diagnostics")  # the keys of the root that hold a value by themselves
_OF_SWEEPS = frozenset({"sweep", "workers"})  # read by schema.sweep
_ROOT = frozenset(parameters_of(RunConfig)) - {"batch", "choices"} | _OF_SWEEPS


def parse(config: Mapping[str, Any], choices: Mapping[str, str] | None = None) -> RunConfig:
    """Return the typed config of a run.

    `choices` are the groups' options by their names on the command line; without them the classes' names stand in.
    Raises ConfigError, which names every mistake found.
    """
    reader = _Reader(config)
    algorithm = dict(reader.mapping("algorithm"))
    batch = algorithm.pop("batch", {})
    options: dict[str, Any] = {
        **{key: reader.option(key, reader.mapping(key)) for key in ("network", "head", "schedule", "baseline")},
        "optimizer": reader.optimizer(reader.mapping("optimizer")),
        "algorithm": reader.option("algorithm", algorithm),
    }
    sections: dict[str, Any] = {
        "budget": reader.section("budget", Budget, reader.mapping("budget")),
        "env": reader.env(reader.mapping("env")),
        "batch": reader.section("algorithm.batch", Batch, batch),
        "evaluation": reader.section("evaluation", Evaluation, reader.mapping("evaluation")),
        "tracking": reader.section("tracking", Tracking, reader.mapping("tracking")),
        "registry": reader.section("registry", Registry, reader.mapping("registry")),
        "checkpoint": reader.section("checkpoint", Checkpoint, reader.mapping("checkpoint")),
    }
    values = reader.values({key: config[key] for key in _VALUES if key in config})
    if reader.problems:
        raise ConfigError(reader.problems)
    named = choices or {name: option.name for name, option in options.items()}
    run = RunConfig(**values, **options, **sections, choices=dict(named))
    require_consistent(run)
    return run


def parse_option(key: str, given: Any) -> tuple[Option | None, list[Problem]]:
    """Return one option, that of a key, and what is wrong with it."""
    reader = _Reader({key: given})
    return reader.option(key, reader.mapping(key)), reader.problems


class _Reader:
    """Reads the parts of a config and keeps what is wrong with them."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.problems = [unknown(key, value, _ROOT) for key, value in config.items() if key not in _ROOT]

    def mapping(self, key: str) -> Mapping[str, Any]:
        found = self.config.get(key)
        if isinstance(found, Mapping):
            return found
        self.problems.append(Problem(key, f"given {found!r}; must be a mapping of keys"))
        return {}

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        hints = parameters_of(RunConfig)
        checked, problems = check(given, {key: hints[key] for key in _VALUES})
        self.problems += problems
        return checked

    def section(self, key: str, kind: type[Section], given: Any) -> Section | None:
        if not isinstance(given, Mapping):
            self.problems.append(Problem(key, f"given {given!r}; must be a mapping of keys"))
            return None
        checked, problems = check(given, parameters_of(kind), key)
        self.problems += problems
        return None if problems else kind(**checked)

    def env(self, given: Mapping[str, Any]) -> Env | None:
        values = {name: value for name, value in given.items() if name not in ("wrappers", "dynamics")}
        found = self.section("env", Env, values)
        wrappers = given.get("wrappers", [])
        if not isinstance(wrappers, list) or not all(isinstance(item, Mapping) and item for item in wrappers):
            text = f"given {wrappers!r}; must be a list of mappings, each with its own _target_"
            self.problems.append(Problem("env.wrappers", text))
            return None
        options = [self.option(f"env.wrappers[{i}]", wrapper) for i, wrapper in enumerate(wrappers)]
        dynamics = given.get("dynamics")
        if dynamics is not None and not isinstance(dynamics, Mapping):
            text = f"must be a mapping with its own _target_, or null (got {dynamics!r})"
            self.problems.append(Problem("env.dynamics", text))
            return None
        own = None if dynamics is None else self.option("env.dynamics", dynamics)
        kept = tuple(option for option in options if option is not None)
        return found and replace(found, wrappers=kept, dynamics=own)

    def optimizer(self, given: Mapping[str, Any]) -> Option | None:
        name = str(given.get("_target_", "")).rpartition(".")[2]
        if name in _REFUSED_OPTIMIZERS:
            self.problems.append(Problem("optimizer", f"{name} is not supported: {_REFUSED_OPTIMIZERS[name]}"))
            return None
        for key in sorted(_REFUSED_ARGUMENTS.keys() & given.keys()):
            self.problems.append(Problem(f"optimizer.{key}", f"not supported: {_REFUSED_ARGUMENTS[key]}"))
        refused = _REFUSED_ARGUMENTS.keys() - given.keys()
        return self.option("optimizer", given, {"lr": Parameter(PositiveFloat)}, refused)

    def option(
        self,
        key: str,
        given: Mapping[str, Any],
        stricter: Mapping[str, Parameter] = MappingProxyType({}),
        without: Collection[str] = (),
    ) -> Option | None:
        """Check an option's arguments against its constructor.

        `stricter` replaces what the constructor says of some parameters; `without` names some that a user has not.
        """
        if not given and key in {problem.key for problem in self.problems}:
            return None  # it is told that there is no such mapping
        target = given.get("_target_")
        if not isinstance(target, str):
            self.problems.append(Problem(f"{key}._target_", f"given {target!r}; must be the import path of a class"))
            return None
        try:
            known = {**parameters(target), **stricter}
        except (LookupError, SyntaxError, OSError) as error:
            self.problems.append(Problem(f"{key}._target_", f"given {target!r}; {error}"))
            return None
        closed = HANDED_IN.get(key.partition("[")[0], HANDED_TO_NESTED).union(without)
        open_to_config = {name: parameter for name, parameter in known.items() if name not in closed}
        arguments = {name: value for name, value in given.items() if name != "_target_"}
        checked, problems = check(arguments, open_to_config, key, BESIDE.get(key, ()))
        self.problems += problems
        for name, parameter in open_to_config.items():
            if is_factory(parameter.annotation) and isinstance(checked.get(name), Mapping):
                checked[name] = self.option(f"{key}.{name}", checked[name])
        return Option(target, {name: checked[name] for name in arguments if name in checked})
