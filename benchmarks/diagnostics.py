"""Cost of diagnostics: the CPU time of a training with them, over that of the same training without.

    python -m benchmarks.diagnostics [--pairs 9] [OVERRIDE ...]

Each level is timed against `off` pair by pair, in turn, so that a machine whose speed drifts does so under both; the
median of the ratios is what counts.
"""

from pgexp.schema import determinism

determinism.pin()

import argparse
import statistics
import time

import torch

from benchmarks.throughput import config_of
from pgexp.execution.assembly import assemble

BASELINES = ("mean", "value")
LEVELS = ("light", "full")


def cpu_seconds(baseline: str, level: str, overrides: list[str]) -> float:
    """Return the CPU time of training a run, without its assembly."""
    run = assemble(config_of(f"baseline={baseline}", f"diagnostics={level}", "budget.steps=200_000", *overrides))
    begun = time.process_time()
    for _ in run.trainer.train():
        pass
    seconds = time.process_time() - begun
    run.close()
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'baseline':<12}{'level':<10}{'CPU time over off, median [min, max]':>40}")
    for baseline in BASELINES:
        for level in LEVELS:
            ratios = sorted(
                cpu_seconds(baseline, level, arguments.overrides) / cpu_seconds(baseline, "off", arguments.overrides)
                for _ in range(arguments.pairs)
            )
            span = f"{statistics.median(ratios):.3f} [{ratios[0]:.3f}, {ratios[-1]:.3f}]"
            print(f"{baseline:<12}{level:<10}{span:>40}", flush=True)


if __name__ == "__main__":
    main()
