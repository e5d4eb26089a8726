"""Final returns of the shipped experiments, compared with their promised IQM.

    python analysis/learning/learning.py [--seeds 10] [--workers 2] [EXPERIMENT ...] [OVERRIDE ...]

Without names it trains all experiments. The score of a seed is the mean return of its final evaluation. The table shows
the scores' interquartile mean with its 95 % trimmed-mean t interval over seeds, and the mean number of steps. It exits
with 1 if a promise is not kept.
"""

from pgexp.schema import determinism

determinism.pin()

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from statistics import mean

PROMISED = {
    "none": 475.0,
    "acrobot": -90.0,
    "frozenlake": 0.65,
    "inverted_pendulum": 950.0,
    "lunarlander": 150.0,
    "halfcheetah": 500.0,
}
"""The promised IQM of each experiment's final evaluation; `none` is the default config, CartPole."""


def train(overrides: Sequence[str], seeds: Sequence[int]) -> list[tuple[float, int]]:
    """Return each seed's final mean return and number of steps."""
    import torch
    from hydra import compose, initialize_config_dir

    from pgexp.algorithms.errors import DivergenceError
    from pgexp.algorithms.evaluator import EvaluationKey
    from pgexp.cli.compose import config_folder, run_config
    from pgexp.execution.assembly import assemble

    torch.set_num_threads(1)
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = run_config(compose("config", overrides=list(overrides)), {})
    found, settings = [], config.evaluation
    for seed in seeds:
        run = assemble(replace(config, seed=seed))
        try:
            for _ in run.trainer.train():
                pass
            key, parameters = EvaluationKey(seed, "final"), run.parameters.views
            result = run.evaluator.evaluate(parameters, key, settings.final_episodes, settings.greedy)
            score = float(result.returns.mean())
        except DivergenceError:
            score = float("nan")
        run.close()
        found.append((score, run.trainer.steps))
    return found


def line(name: str, scores: Sequence[float], steps: Sequence[int], seconds: float) -> bool:
    """Print an experiment's line; return whether it keeps its promise."""
    from pgexp.statistics.estimation import estimate

    iqm = estimate(scores, "iqm")
    interval = "-" if iqm.low is None or iqm.high is None else f"[{iqm.low:.2f}, {iqm.high:.2f}]"
    kept = iqm.value >= PROMISED[name]
    print(
        f"{name:<20}{mean(steps):>12,.0f}{iqm.value:>10.2f}  {interval}{mean(scores):>10.2f}"
        f"{min(scores):>10.2f}{max(scores):>10.2f}{PROMISED[name]:>10.2f}  {'kept' if kept else 'NOT KEPT'}"
        f"{seconds:>8.0f} s",
        flush=True,
    )
    return kept


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("words", nargs="*", metavar="EXPERIMENT or OVERRIDE")
    arguments = parser.parse_args()
    overrides = [word for word in arguments.words if "=" in word]
    chosen = [word for word in arguments.words if "=" not in word] or list(PROMISED)
    print(
        f"{'experiment':<20}{'steps':>12}{'IQM':>10}  [95 % interval]{'mean':>10}{'min':>10}{'max':>10}{'promised':>10}"
    )
    kept = []
    with ProcessPoolExecutor(arguments.workers, get_context("spawn")) as workers:
        for name in chosen:
            begun = time.perf_counter()
            parts = [range(arguments.seeds)[i :: arguments.workers] for i in range(arguments.workers)]
            words = [f"experiment={name}", "evaluation.every=null", *overrides]
            found = [pair for part in workers.map(train, [words] * len(parts), parts) for pair in part]
            scores, steps = zip(*found, strict=True)
            kept.append(line(name, scores, steps, time.perf_counter() - begun))
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
