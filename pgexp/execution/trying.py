"""Trial builds of each configuration, before anything is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass

from pgexp.execution.assembly import assemble
from pgexp.execution.footprint import footprint
from pgexp.schema import names
from pgexp.schema.config import RunConfig
from pgexp.schema.identity import configuration_key


@dataclass(frozen=True)
class Trial:
    """What is known of a run once it is built."""

    tags: dict[str, str]  # of the run in MLflow
    footprint: int  # bytes that it takes in a pack, about


def try_out(configs: Sequence[RunConfig]) -> list[Trial]:
    """Build a run of each configuration, and compile its kernels; return a trial per config. Raises ConfigError."""
    found: dict[tuple[str, bool], Trial] = {}
    trials = []
    for config in configs:
        key = configuration_key(config), config.evaluation.video  # a film is not part of the key
        if key not in found:
            found[key] = _tried(config)
        trials.append(found[key])
    return trials


def _tried(config: RunConfig) -> Trial:
    run = assemble(config)
    tags = {}
    if run.env.reward_threshold is not None:
        tags[names.TAG_THRESHOLD] = str(run.env.reward_threshold)
    biases = run.learner.algorithm.biases(run.learner.student.baseline)
    if biases:
        tags[names.TAG_BIASED] = ", ".join(biases)
    run.close()
    return Trial(tags, footprint(config, run.env, run.policy, run.learner))
