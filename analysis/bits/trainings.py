"""Golden digests of short trainings, to compare bits between machines and settings.

    python -m analysis.bits.trainings [--set NAME=VALUE ...] [CASE ...]

It prints one digest per case, of the metrics of all updates, the final parameters and an evaluation. `--set` changes
an environment variable after pgexp's settings, before NumPy, torch and numba load.
"""

import argparse
import hashlib
import os
from collections.abc import Mapping
from typing import Final

from pgexp.schema import determinism

_SEGMENTS: Final = ("algorithm.batch.episodes=null", "algorithm.batch.steps=64", "env.num_envs=4")
_SMALL: Final = ("network.widths=[16,16]",)

CASES: Final[Mapping[str, tuple[str, ...]]] = {
    "mlp relu, categorical": (*_SMALL, "baseline=mean"),
    "mlp tanh, categorical": (*_SMALL, "network.activation=tanh", "baseline=leave_one_out"),
    "mlp with layer norm, float64": (*_SMALL, "network.layer_norm=true", "dtype=float64", "baseline=none"),
    "linear, short corridor": ("env=short_corridor", "network=linear", "baseline=recency_weighted"),
    "gru": ("network=gru", "network.widths=[16]", "network.units=16", "baseline=none"),
    "lstm, shared value": ("network=lstm", "network.widths=[]", "network.units=16", "baseline=shared_value"),
    "gaussian, value": ("env=pendulum", *_SMALL, "baseline=value", "baseline.network.widths=[16]"),
    "squashed gaussian, normalised": (
        *("env=pendulum", "head=squashed_gaussian", *_SMALL),
        *("env.normalize_observations=true", "baseline=linear", "algorithm.entropy_coefficient=0.01"),
    ),
    "beta": ("env=mountaincar_continuous", "env.max_episode_steps=100", "head=beta", *_SMALL, "baseline=mean"),
    "bernoulli": (
        *("env.dynamics={_target_: analysis.bits.switches.Switches}", "env.id=Switches", *_SMALL),
        *("baseline=mean", "diagnostics=full"),
    ),
    "multi-categorical, masked": (
        *("env.dynamics={_target_: analysis.bits.switches.Choices}", "env.id=Choices", *_SMALL),
        *("network.activation=leaky_relu", "baseline=leave_one_out_per_step"),
    ),
    "natural gradient": ("algorithm=natural", "optimizer=sgd", "optimizer.lr=1", *_SMALL, "baseline=value"),
    "natural gradient, exact": (
        *("algorithm=natural", "optimizer=sgd", "optimizer.lr=1", "network.widths=[8]", "baseline=mean"),
    ),
    "segments, acrobot": ("env=acrobot", *_SEGMENTS, *_SMALL, "baseline=value", "algorithm.return_type=lambda_return"),
    "segments, mountain car": ("env=mountaincar", *_SEGMENTS, *_SMALL, "baseline=shared_value"),
    "stepped environment": ("env=frozenlake", "network=linear", "baseline=optimal_constant"),
    "rmsprop": (*_SMALL, "optimizer=rmsprop", "baseline=per_step_mean"),
    "adadelta": (*_SMALL, "optimizer=adadelta", "baseline=greedy_rollout"),
}
"""Overrides of the shipped config. Together they use every kernel, head, kind of baseline and solver."""

_COMMON: Final = ("budget.steps=1500", "seed=7", "evaluation.every=null")


def digest(case: str) -> str:
    """Train a case and return the digest of its numbers."""
    from hydra import compose, initialize_config_dir

    from pgexp.algorithms.evaluator import EvaluationKey
    from pgexp.cli.compose import config_folder, run_config
    from pgexp.execution.assembly import assemble

    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = run_config(compose("config", overrides=[*_COMMON, *CASES[case]]), {})
    run = assemble(config)
    found = hashlib.sha256()
    for metrics in run.trainer.train():
        found.update(repr(sorted(metrics.items())).encode())
    for name, tensor in sorted(run.parameters.views.items()):
        found.update(name.encode() + tensor.detach().numpy().tobytes())
    outcome = run.evaluator.evaluate(run.parameters.views, EvaluationKey(config.seed, "final"), 5, greedy=False)
    found.update(outcome.returns.tobytes() + outcome.lengths.tobytes())
    run.close()
    return found.hexdigest()[:16]


def main() -> None:
    """Print the digests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE")
    arguments = parser.parse_args()
    determinism.pin()
    os.environ.update(setting.split("=", 1) for setting in arguments.set)
    for case in arguments.cases:
        print(f"{digest(case)}  {case}", flush=True)


if __name__ == "__main__":
    main()
