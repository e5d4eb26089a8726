"""Typed configuration of a run. `parse` creates it from the composed config and checks it once."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal, get_type_hints

from pgexp.schema.errors import Problem, UserError
from pgexp.schema.names import RUN_METRICS, is_match
from pgexp.schema.signatures import REQUIRED, Parameter, parameters
from pgexp.schema.types import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

MAX_DEFAULT_ENVS = 16  # maximum number of environments per run if the config does not set it


@dataclass(frozen=True)
class Option:
    """A class to instantiate: its import path and its checked keyword arguments, including nested options."""

    target: str
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the class without its module."""
        return self.target.rpartition(".")[2]


@dataclass(frozen=True)
class Env:
    """The environment: a Gymnasium id or a user's dynamics, its arguments, and the number of environments per run."""

    id: str  # Gymnasium id; only a name if `dynamics` is set
    num_envs: PositiveInt | None = None
    max_episode_steps: PositiveInt | None = None
    vectorization: Literal["auto", "compiled", "sync", "async"] = "auto"  # does not change results
    kwargs: dict[str, Any] = field(default_factory=dict)
    wrappers: tuple[Option, ...] = ()  # gymnasium.Wrapper classes; the last one is outermost
    dynamics: Option | None = None  # a user's pgexp.envs.compiled.dynamics.Dynamics
    normalize_observations: bool = False
    clip_observations: PositiveFloat | None = 10.0


@dataclass(frozen=True)
class Budget:
    """Length of the training; exactly one of the two is set."""

    steps: PositiveInt | None = None
    episodes: PositiveInt | None = None


@dataclass(frozen=True)
class Batch:
    """Batch of one update: whole episodes, or a segment of steps per environment; exactly one of the two is set."""

    episodes: PositiveInt | None = None
    steps: PositiveInt | None = None


@dataclass(frozen=True)
class Evaluation:
    """Frequency and size of the evaluations."""

    every: PositiveInt | None = None
    episodes: PositiveInt = 10
    final_episodes: NonNegativeInt = 100
    greedy: bool = False
    num_envs: PositiveInt = 20
    video: bool = False


@dataclass(frozen=True)
class Tracking:
    """The MLflow store of the runs, and the metrics that it shows as curves. The run's folder holds all of them."""

    uri: str
    experiment: str
    max_points: PositiveInt = 50
    metrics: Literal["all"] | list[str] = "all"  # names, or patterns such as evaluation/*


@dataclass(frozen=True)
class Registry:
    """The registered model in MLflow that the final policy becomes a version of, if any."""

    name: str | None = None


@dataclass(frozen=True)
class Checkpoint:
    """Interval between checkpoints. A run also writes one at its end."""

    seconds: NonNegativeFloat | None = 30.0


@dataclass(frozen=True)
class RunConfig:
    """Configuration of a run."""

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
    choices: Mapping[str, str]  # names of the options per group, for example baseline: value

    @property
    def shared(self) -> bool:
        """Whether the baseline is an output of the policy network, that is, has a parameter `shared`."""
        return "shared" in parameters(self.baseline.target)

    @property
    def num_envs(self) -> int:
        """N, the number of the run's environments."""
        if self.env.num_envs is not None:
            return self.env.num_envs
        if self.batch.episodes is None:
            return MAX_DEFAULT_ENVS
        return max(n for n in range(1, MAX_DEFAULT_ENVS + 1) if self.batch.episodes % n == 0)


def parameters_of(section: type) -> dict[str, Parameter]:
    """Return the parameters of a dataclass, such as a section of the config."""
    hints = get_type_hints(section, include_extras=True)
    found = {}
    for item in fields(section):
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        found[item.name] = Parameter(hints[item.name], REQUIRED if default is MISSING else default)
    return found


def require_consistent(config: RunConfig) -> None:
    """Raise UserError if valid values contradict each other."""
    problems = []
    for name, pair in (("budget", config.budget), ("algorithm.batch", config.batch)):
        if (pair.steps is None) == (pair.episodes is None):
            problems.append(Problem(name, _either_text(name, pair.steps, pair.episodes)))
    episodes, count = config.batch.episodes, config.env.num_envs
    if episodes is not None and count is not None and episodes % count:
        text = (
            f"must divide algorithm.batch.episodes={episodes}, so that each environment runs equally many (got {count})"
        )
        problems.append(Problem("env.num_envs", text))
    if config.env.dynamics is not None and (config.env.kwargs or config.env.wrappers):
        problems.append(
            Problem("env.dynamics", "excludes env.kwargs and env.wrappers. Set the arguments of the dynamics instead")
        )
    if config.evaluation.video and not config.evaluation.final_episodes:
        problems.append(
            Problem("evaluation.video", "needs a final evaluation. Set evaluation.final_episodes to at least 1")
        )
    if config.registry.name is not None:
        problems += model_name_problems("registry.name", config.registry.name)
    problems += _metric_name_problems(config)
    if problems:
        raise UserError(problems)


def model_name_problems(key: str, name: str) -> list[Problem]:
    """Return the problems of a registered model's name: none or one."""
    if name.strip() and not {"/", ":"} & set(name):
        return []
    return [Problem(key, f"must be a name without / and : (got {name!r})")]


def _metric_name_problems(config: RunConfig) -> list[Problem]:
    """Return the problems of names in `tracking.metrics` that match no metric.

    If the baseline or algorithm is a user's class, every name is accepted, since it may record other metrics.
    """
    is_user_defined = any(not option.target.startswith("pgexp.") for option in (config.baseline, config.algorithm))
    if is_user_defined or config.tracking.metrics == "all":
        return []
    problems = []
    for pattern in config.tracking.metrics:
        if not any(is_match(name, pattern) for name in RUN_METRICS):
            close = get_close_matches(pattern, RUN_METRICS, n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"Known: {', '.join(RUN_METRICS)}."
            text = f"must be metrics that a run records, or patterns such as 'evaluation/*' (got {pattern!r}). {hint}"
            problems.append(Problem("tracking.metrics", text))
    return problems


def _either_text(name: str, steps: int | None, episodes: int | None) -> str:
    if steps is None:
        return f"must have either steps or episodes (got neither). Set {name}.steps or {name}.episodes"
    text = f"must have either steps or episodes (got steps={steps} and episodes={episodes})"
    return f"{text}. Add {name}.steps=null or {name}.episodes=null"
