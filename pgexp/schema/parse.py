"""From the composed config, plain mappings and values, to the typed RunConfig. Every mistake dies here."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from pgexp.schema.check import check, is_factory
from pgexp.schema.config import (
    Batch,
    Budget,
    Env,
    Evaluation,
    Option,
    RunConfig,
    Tracking,
    parameters_of,
    require_consistent,
)
from pgexp.schema.errors import ConfigError, Problem, unknown
from pgexp.schema.signatures import Parameter, parameters
from pgexp.schema.types import PositiveFloat

Section = TypeVar("Section")

# What assembly hands to the constructor of a group's option; these are not configured. A nested option is built by the
# option that it stands in, which hands it any of them.
HANDED_IN: Mapping[str, frozenset[str]] = {
    "network": frozenset({"inputs", "outputs"}),
    "optimizer": frozenset({"params"}),
    "baseline": frozenset({"inputs", "seed", "dtype"}),
    "algorithm": frozenset({"episodes"}),
}

# What stands in an option's mapping beside its constructor's arguments.
BESIDE: Mapping[str, tuple[str, ...]] = {"optimizer": ("schedule",), "algorithm": ("batch",)}

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
_ROOT = frozenset(
    [
        "seed",
        "dtype",
        "budget",
        "env",
        "network",
        "optimizer",
        "baseline",
        "algorithm",
        "evaluation",
        "tracking",
    ]
)


def parse(config: Mapping[str, Any], choices: Mapping[str, str] | None = None) -> RunConfig:
    """Return the typed config of a run.

    `choices` are the groups' options by their names on the command line; without them the classes' names stand in.
    Raises ConfigError, which names every mistake found.
    """
    reader = _Reader(config)
    optimizer = dict(reader.mapping("optimizer"))
    algorithm = dict(reader.mapping("algorithm"))
    schedule = optimizer.pop("schedule", "constant")
    batch = algorithm.pop("batch", {})
    options: dict[str, Any] = {
        "network": reader.option("network", reader.mapping("network")),
        "optimizer": reader.optimizer(optimizer),
        "baseline": reader.option("baseline", reader.mapping("baseline")),
        "algorithm": reader.option("algorithm", algorithm),
    }
    sections: dict[str, Any] = {
        "budget": reader.section("budget", Budget, reader.mapping("budget")),
        "env": reader.section("env", Env, reader.mapping("env")),
        "batch": reader.section("algorithm.batch", Batch, batch),
        "evaluation": reader.section("evaluation", Evaluation, reader.mapping("evaluation")),
        "tracking": reader.section("tracking", Tracking, reader.mapping("tracking")),
    }
    given = {key: config[key] for key in ("seed", "dtype") if key in config}
    values = reader.values(given | {"optimizer.schedule": schedule})
    if reader.problems:
        raise ConfigError(reader.problems)
    named = choices or {name: option.name for name, option in options.items()}
    run = RunConfig(**values, **options, **sections, choices=dict(named))
    require_consistent(run)
    return run


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
        named = {key: hints[key.rpartition(".")[2]] for key in ("seed", "dtype", "optimizer.schedule")}
        checked, problems = check(given, named)
        self.problems += problems
        return {key.rpartition(".")[2]: value for key, value in checked.items()}

    def section(self, key: str, kind: type[Section], given: Any) -> Section | None:
        if not isinstance(given, Mapping):
            self.problems.append(Problem(key, f"given {given!r}; must be a mapping of keys"))
            return None
        checked, problems = check(given, parameters_of(kind), key)
        self.problems += problems
        return None if problems else kind(**checked)

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
        if not given:
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
        closed = HANDED_IN.get(key, frozenset().union(*HANDED_IN.values())).union(without)
        open_to_config = {name: parameter for name, parameter in known.items() if name not in closed}
        arguments = {name: value for name, value in given.items() if name != "_target_"}
        checked, problems = check(arguments, open_to_config, key, BESIDE.get(key, ()))
        self.problems += problems
        for name, parameter in open_to_config.items():
            if is_factory(parameter.annotation) and isinstance(checked.get(name), Mapping):
                checked[name] = self.option(f"{key}.{name}", checked[name])
        return Option(target, {name: checked[name] for name in arguments if name in checked})
