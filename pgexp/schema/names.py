"""Names of metrics, MLflow tags and files of a run's folder.

A metric's name is ``group/quantity``; MLflow's UI has a section per group. Metrics in the group ``timing`` depend on
the machine; all other metrics depend on the run's identity alone.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

TIMING: Final = "timing/"

RETURN_MEAN: Final = "train/return_mean"
RETURN_MIN: Final = "train/return_min"
RETURN_MAX: Final = "train/return_max"
EPISODE_LENGTH: Final = "train/episode_length_mean"
TRUNCATED: Final = "train/truncated_episodes"
EPISODES: Final = "progress/episodes"
UPDATES: Final = "progress/updates"
POLICY_LOSS: Final = "loss/policy"
VALUE_LOSS: Final = "loss/value"
ENTROPY: Final = "policy/entropy"
KL: Final = "policy/kl"
DEAD_UNITS: Final = "policy/dead_units"
GRADIENT_NORM: Final = "gradient/norm"  # before clipping; with a gradient transform, of its output
GRADIENT_CLIPPED: Final = "gradient/clipped_share"
GRADIENT_COSINE: Final = "gradient/cosine"
GRADIENT_VARIANCE: Final = "gradient/variance"
GRADIENT_SNR: Final = "gradient/signal_to_noise"
FISHER_RESIDUAL: Final = "gradient/fisher_residual"
VARIANCE_LEFT: Final = "gradient/variance_left_by_baseline"
ADVANTAGE_MEAN: Final = "advantage/mean"
ADVANTAGE_STD: Final = "advantage/std"
EXPLAINED_VARIANCE: Final = "value/explained_variance"
VALUE_BIAS: Final = "value/bias"
BASELINE_VALUE: Final = "baseline/value"
ENTROPY_COEFFICIENT: Final = "schedule/entropy_coefficient"
LEARNING_RATE: Final = "schedule/lr"
DROPPED_STEPS: Final = "batch/dropped_steps"
STEPS_PER_SECOND: Final = TIMING + "steps_per_second"

EVALUATION: Final = "evaluation"
FINAL: Final = "final"
EVALUATE: Final = "evaluate"


def evaluation_metrics(phase: str) -> tuple[str, ...]:
    """Return the names of an evaluation's metrics; phase is EVALUATION (during training) or FINAL (at its end)."""
    quantities = ("return_mean", "return_std", "return_min", "return_max", "episode_length_mean")
    return tuple(f"{phase}/{quantity}" for quantity in quantities)


def evaluate_metrics(summary: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of an evaluation of a trained policy by name."""
    return {f"{EVALUATE}/{quantity}": value for quantity, value in summary.items()}


EVALUATION_RETURN: Final = evaluation_metrics(EVALUATION)[0]
FINAL_RETURN: Final = evaluation_metrics(FINAL)[0]

RUN_METRICS: Final = (
    *(RETURN_MEAN, RETURN_MIN, RETURN_MAX, EPISODE_LENGTH, TRUNCATED, EPISODES, UPDATES),
    *(POLICY_LOSS, VALUE_LOSS, ENTROPY, KL, DEAD_UNITS),
    *(GRADIENT_NORM, GRADIENT_CLIPPED, GRADIENT_COSINE, GRADIENT_VARIANCE, GRADIENT_SNR, FISHER_RESIDUAL),
    *(VARIANCE_LEFT, ADVANTAGE_MEAN, ADVANTAGE_STD, EXPLAINED_VARIANCE, VALUE_BIAS, BASELINE_VALUE),
    *(ENTROPY_COEFFICIENT, LEARNING_RATE, DROPPED_STEPS, STEPS_PER_SECOND),
    *evaluation_metrics(EVALUATION),
    *evaluation_metrics(FINAL),
)
"""Metrics in a run's rows. A user's baseline may add others."""


def is_match(name: str, pattern: str) -> bool:
    """Return whether a metric's name matches a pattern, in which * matches any text. `all` matches every name."""
    return pattern == "all" or fnmatchcase(name, pattern)


# Metrics of a configuration's MLflow run: aggregates of the final returns over its seeds, as in pgexp-compare.
OVER_SEEDS: Final = "over_seeds/"
SEEDS_IQM: Final = OVER_SEEDS + "return_iqm"
SEEDS_MEAN: Final = OVER_SEEDS + "return_mean"
SEEDS_LOW: Final = OVER_SEEDS + "return_low"  # this and the next: 95 % interval of the IQM
SEEDS_HIGH: Final = OVER_SEEDS + "return_high"
SEEDS: Final = OVER_SEEDS + "seeds"  # number of seeds with a final return
SEEDS_FAILED: Final = OVER_SEEDS + "failed"  # number of failed seeds
CURVE_IQM: Final = OVER_SEEDS + "evaluation_return_iqm"  # learning curve: the IQM at steps that all seeds have
CURVE_LOW: Final = OVER_SEEDS + "evaluation_return_low"  # this and the next: its 95 % interval per step
CURVE_HIGH: Final = OVER_SEEDS + "evaluation_return_high"

# Tags of MLflow runs. Roles: "sweep", "configuration" (parent of its seed runs) and "run" (one seed).
TAG_ROLE: Final = "pgexp.role"
ROLE_SWEEP: Final = "sweep"
ROLE_CONFIGURATION: Final = "configuration"
ROLE_RUN: Final = "run"
TAG_SWEEP: Final = "pgexp.sweep"  # id of the sweep, on its parent run and all descendants
_MEMBER: Final = TAG_SWEEP + "."  # followed by the id of a sweep that reuses the run
REUSED: Final = "reused"  # its value
TAG_RECORD: Final = "pgexp.record"  # the id of the recorded folder; runs are looked up by it before they are created
TAG_KEY: Final = "pgexp.key"  # hash of the fields that determine the results
TAG_CONFIGURATION: Final = "pgexp.configuration"  # the same without the seed
TAG_CONFIGURATION_NAME: Final = "pgexp.configuration_name"  # readable: the values that differ within the sweep
TAG_CODE: Final = "pgexp.code"  # hash of the package, the user's modules in use and the lock file
TAG_DIRTY: Final = "pgexp.git_dirty"  # "true" if the checkout had uncommitted changes
TAG_FOLDER: Final = "pgexp.folder"  # path of the run's folder
TAG_THRESHOLD: Final = "pgexp.reward_threshold"  # the return at which the environment counts as solved
TAG_BIASED: Final = "pgexp.biased"  # sources of gradient bias, comma separated; absent if none
TAG_ROWS_SYNCED: Final = "pgexp.rows_synced"  # number of rows of the run log that the store has
TAG_NONFINITE: Final = "pgexp.nonfinite"  # number of NaN and infinite values, which are in the run's table only
TAG_REASON: Final = "pgexp.reason"  # reason for the run's status
TAG_PRUNED: Final = "pgexp.pruned"  # "true" if a search stopped the run early; its MLflow status is KILLED
TAG_PROVENANCE: Final = "pgexp.provenance"  # on a sweep's run: the sweep's artifact folder with the provenance
TAG_EXTENDS: Final = "pgexp.extends"  # the key of the run whose budget was extended
TAG_EXTENDED_EXACTLY: Final = (
    "pgexp.extended_exactly"  # "true" if it equals a run with the longer budget from the start
)
TAG_SELECTED_FROM: Final = "pgexp.selected_from"  # id of the sweep from which the configurations were selected
TAG_COMMIT: Final = "mlflow.source.git.commit"
TAG_PARENT: Final = "mlflow.parentRunId"


def member_tag(sweep: str) -> str:
    """Return the tag, whose value is REUSED, of the runs of other sweeps that a sweep counts among its own."""
    return _MEMBER + sweep


# Files of a run's folder.
RUN_FILE: Final = "run.json"
CONFIG_FILE: Final = "config.json"
ROWS_FILE: Final = "rows.jsonl"
METRICS_FILE: Final = "metrics.parquet"
TIMINGS_FILE: Final = "timings.parquet"
LOG_FILE: Final = "run.log"
ERROR_FILE: Final = "error.txt"  # traceback of a failed run
CHECKPOINT_FOLDER: Final = "checkpoint"
EVALUATIONS_FOLDER: Final = "evaluations"
POLICY_FOLDER: Final = "policy"
VIDEO_FOLDER: Final = "video"
PROVENANCE_FOLDER: Final = "provenance"
MACHINE_FILE: Final = "provenance/machine.json"
ORIGIN_FILE: Final = "provenance/origin.json"  # command and its start time
GIT_FILE: Final = "provenance/git.json"  # of the working directory's repository, and the code's hash
PACKAGES_FILE: Final = "provenance/packages.txt"
LOCK_FILE: Final = "provenance/requirements.lock"
COST_FILE: Final = "provenance/cost.json"  # wall and CPU time
CODE_FILE: Final = "provenance/code.zip"  # the package and the user's modules that the policy uses
REQUIREMENTS_FILE: Final = "provenance/requirements.txt"  # versions of the packages that they import
MODEL: Final = "model"  # name of a run's model in MLflow
COMPARISON_FOLDER: Final = "comparison"  # artifact folder of a sweep's report
# File in the folder of a single run or a sweep.
MANIFEST_FILE: Final = "manifest.json"
INDEX_FILE: Final = "finished_runs.jsonl"  # in the working directory
