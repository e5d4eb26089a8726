"""Typed config of a run. It is checked once, when it is made from what Hydra composed."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, get_type_hints

from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.signatures import REQUIRED, Parameter, parameters
from pgexp.schema.types import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

AUTOMATIC_ENVS = 16  # the most environments of a run whose config sets none


@dataclass(frozen=True)
class Option:
    """A class to be built: its import path and its checked keyword arguments, nested options included."""

    target: str
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The class's own name."""
        return self.target.rpartition(".")[2]


@dataclass(frozen=True)
class Env:
    """The environment: a Gymnasium id or a user's own dynamics, how it is made, and how many of it a run advances."""

    id: str  # of Gymnasium; only a name if `dynamics` is set
    num_envs: PositiveInt | None = None
    max_episode_steps: PositiveInt | None = None
    vectorization: Literal["auto", "compiled", "sync", "async"] = "auto"  # decides no number
    kwargs: dict[str, Any] = field(default_factory=dict)
    wrappers: tuple[Option, ...] = ()  # gymnasium.Wrapper classes, the last one outermost
    dynamics: Option | None = None  # a pgexp.envs.compiled.dynamics.Dynamics of the user's own
    normalize_observations: bool = False
    clip_observations: PositiveFloat | None = 10.0


@dataclass(frozen=True)
class Budget:
    """How long a run trains; one of the two is set."""

    steps: PositiveInt | None = None
    episodes: PositiveInt | None = None


@dataclass(frozen=True)
class Batch:
    """The batch of one update: whole episodes, or a segment of steps per environment; one of the two is set."""

    episodes: PositiveInt | None = None
    steps: PositiveInt | None = None


@dataclass(frozen=True)
class Evaluation:
    """When and on how many episodes the policy is evaluated."""

    every: PositiveInt | None = None
    episodes: PositiveInt = 10
    final_episodes: NonNegativeInt = 100
    greedy: bool = False
    num_envs: PositiveInt = 20
    video: bool = False


@dataclass(frozen=True)
class Tracking:
    """Where runs are recorded beside their own folder."""

    uri: str
    experiment: str
    points: PositiveInt


@dataclass(frozen=True)
class Registry:
    """Whether the final policy gets a name in MLflow's model registry."""

    name: str | None = None


@dataclass(frozen=True)
class Checkpoint:
    """How often a run's whole state is written down, beside at its end."""

    seconds: NonNegativeFloat | None = 30.0


@dataclass(frozen=True)
class RunConfig:
    """Everything a run is."""

    seed: NonNegativeInt
    dtype: Literal["float32", "float64"]
    diagnostics: Literal["full", "light", "off"]
    budget: Budget
    env: Env
    network: Option
    head: Option
    optimizer: Option
    schedule: Option
    baseline: Option
    algorithm: Option
    batch: Batch
    evaluation: Evaluation
    tracking: Tracking
    registry: Registry
    checkpoint: Checkpoint
    choices: Mapping[str, str]  # the options' names as chosen on the command line, e.g. baseline: value

    @property
    def shared(self) -> bool:
        """Whether the baseline is an output of the policy's network: it says so by taking `shared`."""
        return "shared" in parameters(self.baseline.target)

    @property
    def num_envs(self) -> int:
        """N, the number of the run's environments."""
        if self.env.num_envs is not None:
            return self.env.num_envs
        if self.batch.episodes is None:
            return AUTOMATIC_ENVS
        return max(n for n in range(1, AUTOMATIC_ENVS + 1) if self.batch.episodes % n == 0)


def parameters_of(section: type) -> dict[str, Parameter]:
    """Return the parameters of one of the dataclasses above."""
    hints = get_type_hints(section, include_extras=True)
    found = {}
    for item in fields(section):
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        found[item.name] = Parameter(hints[item.name], REQUIRED if default is MISSING else default)
    return found


def require_consistent(config: RunConfig) -> None:
    """Raise ConfigError where values that are right by themselves contradict each other."""
    problems = []
    for name, pair in (("budget", config.budget), ("algorithm.batch", config.batch)):
        if (pair.steps is None) == (pair.episodes is None):
            problems.append(Problem(name, _one_of(name, pair.steps, pair.episodes)))
    episodes, count = config.batch.episodes, config.env.num_envs
    if episodes is not None and count is not None and episodes % count:
        text = f"must divide algorithm.batch.episodes={episodes}, so that each environment plays as many (got {count})"
        problems.append(Problem("env.num_envs", text))
    if config.env.dynamics is not None and (config.env.kwargs or config.env.wrappers):
        problems.append(Problem("env.dynamics", "takes neither env.kwargs nor env.wrappers: set its own arguments"))
    if config.evaluation.video and not config.evaluation.final_episodes:
        problems.append(Problem("evaluation.video", "true needs evaluation.final_episodes of at least 1"))
    model = config.registry.name
    if model is not None and (not model.strip() or {"/", ":"} & set(model)):
        problems.append(Problem("registry.name", f"given {model!r}; MLflow takes a name without / and :"))
    if problems:
        raise ConfigError(problems)


def _one_of(name: str, steps: int | None, episodes: int | None) -> str:
    if steps is None:
        return f"neither {name}.steps nor {name}.episodes is set; set one of them"
    return f"steps={steps} and episodes={episodes} exclude each other; add {name}.steps=null or {name}.episodes=null"
