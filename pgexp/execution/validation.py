"""Trial build of each configuration, before anything is recorded."""

from collections.abc import Sequence

from pgexp.execution.assembly import assemble
from pgexp.schema import names
from pgexp.schema.config import RunConfig
from pgexp.schema.identity import configuration_key

Tags = dict[str, str]
"""MLflow tags of a run that are known once it is built: its reward threshold, and what biases its gradient."""


def validate(configs: Sequence[RunConfig]) -> list[Tags]:
    """Build a run of each configuration, which compiles its kernels; return the tags of each. Raises ConfigError."""
    found: dict[tuple[str, bool], Tags] = {}
    tags = []
    for config in configs:
        key = configuration_key(config), config.evaluation.video  # a video is not part of the key
        if key not in found:
            found[key] = _tags(config)
        tags.append(found[key])
    return tags


def _tags(config: RunConfig) -> Tags:
    run = assemble(config)
    tags = {}
    if run.env.reward_threshold is not None:
        tags[names.TAG_THRESHOLD] = str(run.env.reward_threshold)
    biases = run.learner.algorithm.biases(run.learner.student.baseline)
    if biases:
        tags[names.TAG_BIASED] = ", ".join(biases)
    run.close()
    return tags
