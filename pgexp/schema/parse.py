"""Parser from the composed config, of plain mappings and values, to the typed RunConfig. It finds every mistake."""

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
from pgexp.schema.errors import Problem, UserError, unknown_key
from pgexp.schema.signatures import Parameter, parameters
from pgexp.schema.types import PositiveFloat

Section = TypeVar("Section")

# Constructor arguments of a group's option that assembly supplies. They cannot be set in a config.
SUPPLIED: Mapping[str, frozenset[str]] = {
    "network": frozenset({"inputs", "outputs", "shape"}),
    "head": frozenset({"space"}),
    "optimizer": frozenset({"params"}),
    "schedule": frozenset(),
    "baseline": frozenset({"inputs", "shape", "seed", "dtype", "gamma", "per_episode_gradients", "greedy", "shared"}),
    "algorithm": frozenset({"episodes", "diagnostics"}),
    "env.wrappers": frozenset({"env"}),
    "env.dynamics": frozenset(),
    "workers": frozenset(),
}
# Constructor arguments of a nested option that the enclosing option supplies.
SUPPLIED_TO_NESTED = frozenset({"inputs", "outputs", "shape", "seed", "dtype", "params"})

# Keys in the mapping of an option that are not constructor arguments.
OTHER_KEYS: Mapping[str, tuple[str, ...]] = {"algorithm": ("batch",)}

_REFUSED_OPTIMIZERS = {
    "LBFGS": "it evaluates the loss several times per step, but policy gradients sample a batch once",
    "SparseAdam": "it needs sparse gradients, and these are dense",
    "Muon": "it optimizes matrices only, and networks also have biases",
}
_REFUSED_ARGUMENTS = {
    "maximize": "the loss is already the negative return",
    "capturable": "it is for CUDA graphs",
    "differentiable": "the step is not differentiated",
}
_VALUES = ("seed", "dtype", "diagnostics")  # root keys with a plain value
_SWEEP_KEYS = frozenset({"sweep", "workers"})  # root keys that schema.sweep parses
_ROOT = frozenset(parameters_of(RunConfig)) - {"batch", "choices"} | _SWEEP_KEYS


def parse(config: Mapping[str, Any], choices: Mapping[str, str] | None = None) -> RunConfig:
    """Return the typed config of a run.

    `choices` are the names of the options per group; by default they are the names of the classes. Raises UserError
    with every mistake.
    """
    parser = _Parser(config)
    algorithm = dict(parser.mapping("algorithm"))
    batch = algorithm.pop("batch", {})
    options: dict[str, Any] = {
        **{key: parser.option(key, parser.mapping(key)) for key in ("network", "head", "schedule", "baseline")},
        "optimizer": parser.optimizer(parser.mapping("optimizer")),
        "algorithm": parser.option("algorithm", algorithm),
    }
    sections: dict[str, Any] = {
        "budget": parser.section("budget", Budget, parser.mapping("budget")),
        "env": parser.env(parser.mapping("env")),
        "batch": parser.section("algorithm.batch", Batch, batch),
        "evaluation": parser.section("evaluation", Evaluation, parser.mapping("evaluation")),
        "tracking": parser.section("tracking", Tracking, parser.mapping("tracking")),
        "registry": parser.section("registry", Registry, parser.mapping("registry")),
        "checkpoint": parser.section("checkpoint", Checkpoint, parser.mapping("checkpoint")),
    }
    values = parser.values({key: config[key] for key in _VALUES if key in config})
    if parser.problems:
        raise UserError(parser.problems)
    names = choices or {name: option.name for name, option in options.items()}
    run = RunConfig(**values, **options, **sections, choices=dict(names))
    require_consistent(run)
    return run


def parse_option(key: str, option: Any) -> tuple[Option | None, list[Problem]]:
    """Return the option of a key, and its problems."""
    parser = _Parser({key: option})
    return parser.option(key, parser.mapping(key)), parser.problems


class _Parser:
    """Parser of the parts of a config that collects their problems."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.problems = [unknown_key(key, value, _ROOT) for key, value in config.items() if key not in _ROOT]

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.config.get(key)
        if isinstance(value, Mapping):
            return value
        self.problems.append(Problem(key, f"must be a mapping of keys (got {value!r})"))
        return {}

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        hints = parameters_of(RunConfig)
        checked, problems = check(given, {key: hints[key] for key in _VALUES})
        self.problems += problems
        return checked

    def section(self, key: str, kind: type[Section], given: Any) -> Section | None:
        if not isinstance(given, Mapping):
            self.problems.append(Problem(key, f"must be a mapping of keys (got {given!r})"))
            return None
        checked, problems = check(given, parameters_of(kind), key)
        self.problems += problems
        return None if problems else kind(**checked)

    def env(self, given: Mapping[str, Any]) -> Env | None:
        values = {name: value for name, value in given.items() if name not in ("wrappers", "dynamics")}
        env = self.section("env", Env, values)
        wrappers = given.get("wrappers", [])
        if not isinstance(wrappers, list) or not all(isinstance(item, Mapping) and item for item in wrappers):
            text = f"must be a list of mappings, each with a _target_ (got {wrappers!r})"
            self.problems.append(Problem("env.wrappers", text))
            return None
        options = [self.option(f"env.wrappers[{i}]", wrapper) for i, wrapper in enumerate(wrappers)]
        dynamics = given.get("dynamics")
        if dynamics is not None and not isinstance(dynamics, Mapping):
            text = f"must be a mapping with a _target_, or null (got {dynamics!r})"
            self.problems.append(Problem("env.dynamics", text))
            return None
        dynamics_option = None if dynamics is None else self.option("env.dynamics", dynamics)
        present = tuple(option for option in options if option is not None)
        return env and replace(env, wrappers=present, dynamics=dynamics_option)

    def optimizer(self, given: Mapping[str, Any]) -> Option | None:
        name = str(given.get("_target_", "")).rpartition(".")[2]
        if name in _REFUSED_OPTIMIZERS:
            self.problems.append(
                Problem(
                    "optimizer", f"{name} is not supported, because {_REFUSED_OPTIMIZERS[name]}. Use another optimizer"
                )
            )
            return None
        for key in sorted(_REFUSED_ARGUMENTS.keys() & given.keys()):
            self.problems.append(
                Problem(f"optimizer.{key}", f"is not supported, because {_REFUSED_ARGUMENTS[key]}. Remove it")
            )
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

        `stricter` replaces some parameters of the constructor; `without` names parameters that cannot be set.
        """
        if not given and key in {problem.key for problem in self.problems}:
            return None  # the missing mapping is already a problem
        target = given.get("_target_")
        if not isinstance(target, str):
            self.problems.append(Problem(f"{key}._target_", f"must be the import path of a class (got {target!r})"))
            return None
        try:
            known = {**parameters(target), **stricter}
        except (LookupError, SyntaxError, OSError) as error:
            self.problems.append(Problem(f"{key}._target_", f"{error} (got {target!r})"))
            return None
        supplied = SUPPLIED.get(key.partition("[")[0], SUPPLIED_TO_NESTED).union(without)
        configurable = {name: parameter for name, parameter in known.items() if name not in supplied}
        arguments = {name: value for name, value in given.items() if name != "_target_"}
        checked, problems = check(arguments, configurable, key, OTHER_KEYS.get(key, ()))
        self.problems += problems
        for name, parameter in configurable.items():
            if is_factory(parameter.annotation) and isinstance(checked.get(name), Mapping):
                checked[name] = self.option(f"{key}.{name}", checked[name])
        return Option(target, {name: checked[name] for name in arguments if name in checked})
