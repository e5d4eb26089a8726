"""The names under which a run is recorded: metrics, tags and the files of a run's folder. Written once, here.

A metric's name is ``group/quantity``; MLflow's UI makes a section of each group. Names in the group ``timing`` depend
on the machine and the day; every other metric depends on the run's identity alone.
"""

from collections.abc import Mapping
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
GRADIENT_NORM: Final = "gradient/norm"  # before clipping; with a direction, the direction's
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
    """Return what an evaluation of a trained policy found, by the names of its metrics."""
    return {f"{EVALUATE}/{quantity}": value for quantity, value in summary.items()}


EVALUATION_RETURN: Final = evaluation_metrics(EVALUATION)[0]
FINAL_RETURN: Final = evaluation_metrics(FINAL)[0]

# What a configuration's MLflow run says of its seeds' final returns, as pgexp-compare does.
OVER_SEEDS: Final = "over_seeds/"
SEEDS_IQM: Final = OVER_SEEDS + "return_iqm"
SEEDS_MEAN: Final = OVER_SEEDS + "return_mean"
SEEDS_LOW: Final = OVER_SEEDS + "return_low"  # this and the next: the 95 % interval of the IQM
SEEDS_HIGH: Final = OVER_SEEDS + "return_high"
SEEDS: Final = OVER_SEEDS + "seeds"  # how many have a final return
SEEDS_FAILED: Final = OVER_SEEDS + "failed"  # how many failed, most often before they had one
CURVE_IQM: Final = OVER_SEEDS + "evaluation_return_iqm"  # the learning curve: the IQM on steps that the seeds share
CURVE_LOW: Final = OVER_SEEDS + "evaluation_return_low"  # this and the next: its 95 % interval at each step
CURVE_HIGH: Final = OVER_SEEDS + "evaluation_return_high"

# Tags of MLflow runs. A role is one of "sweep", "configuration" (its seeds below it) and "run" (one seed).
TAG_ROLE: Final = "pgexp.role"
ROLE_SWEEP: Final = "sweep"
ROLE_CONFIGURATION: Final = "configuration"
ROLE_RUN: Final = "run"
TAG_SWEEP: Final = "pgexp.sweep"  # the sweep's id, on the sweep's run and on all below it
_MEMBER: Final = TAG_SWEEP + "."  # and a sweep's id: a tag of each run of another sweep that this one reuses
REUSED: Final = "reused"  # its value
TAG_RECORD: Final = "pgexp.record"  # the id of the recorded folder; runs are looked up by it before they are created
TAG_KEY: Final = "pgexp.key"  # hash of what decides the run's numbers
TAG_CONFIGURATION: Final = "pgexp.configuration"  # the same without the seed
TAG_CONFIGURATION_NAME: Final = "pgexp.configuration_name"  # readable: what differs within the sweep
TAG_CODE: Final = "pgexp.code"  # hash of the package, the user's modules in play and the lock file
TAG_DIRTY: Final = "pgexp.git_dirty"  # "true" where the checkout had uncommitted changes
TAG_FOLDER: Final = "pgexp.folder"  # where the run's own folder stands
TAG_THRESHOLD: Final = "pgexp.reward_threshold"  # the return at which the environment counts as solved
TAG_BIASED: Final = "pgexp.biased"  # which choices make the gradient estimate biased, comma separated; absent if none
TAG_DRAINED: Final = "pgexp.drained"  # how many rows of the run's record the store has
TAG_NONFINITE: Final = "pgexp.nonfinite"  # how many values were NaN or infinite, and stand in the run's table only
TAG_REASON: Final = "pgexp.reason"  # why the run ended as it did
TAG_EXTENDS: Final = "pgexp.extends"  # the key of the run whose budget was extended
TAG_EXTENDED_EXACTLY: Final = "pgexp.extended_exactly"  # "true": it equals a run of the longer budget from its start
TAG_SELECTED_FROM: Final = "pgexp.selected_from"  # the sweep that chose the configurations of this one, of fresh seeds
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
ERROR_FILE: Final = "error.txt"  # the traceback of what a run failed of
CHECKPOINT_FOLDER: Final = "checkpoint"
EVALUATIONS_FOLDER: Final = "evaluations"
POLICY_FOLDER: Final = "policy"
VIDEO_FOLDER: Final = "video"
PROVENANCE_FOLDER: Final = "provenance"
MACHINE_FILE: Final = "provenance/machine.json"
ORIGIN_FILE: Final = "provenance/origin.json"  # the command, and when it was called
GIT_FILE: Final = "provenance/git.json"  # of the working directory's repository, and the code's hash
PACKAGES_FILE: Final = "provenance/packages.txt"
LOCK_FILE: Final = "provenance/requirements.lock"
CODE_FILE: Final = "provenance/code.zip"  # the package and the user's own modules that the policy is made of
REQUIREMENTS_FILE: Final = "provenance/requirements.txt"  # pins of what they import
MODEL: Final = "model"  # the name of a run's model in MLflow
COMPARISON_FOLDER: Final = "comparison"  # of a sweep's artifacts: the report on it
# File of the folder that a command made: a single run's own folder, or the sweep's.
RECORD_FILE: Final = "record.json"
