"""How a pack's size tells on its speed and its memory, and whether its memory was estimated well.

    python -m benchmarks.packs [OVERRIDE ...] [--sizes 1 8 32 64 128 256]

Each pack trains in a process of its own, on one core, and is evaluated at its end. `steps/s` is of CPU time, training
alone. `memory` is the most that the process ever took beyond one that has only loaded what it needs; the ratio is of
that to the estimate by which packs are cut to fit (`pgexp.execution.footprint`).
"""

from pgexp.schema import determinism

determinism.pin()

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.throughput import MEBIBYTE, configs
from pgexp.execution.assembly import assemble
from pgexp.execution.evaluations import Due, Evaluations
from pgexp.execution.trying import try_out
from pgexp.learning.state import capture
from pgexp.learning.trainer import train


def measured(size: int, overrides: list[str]) -> tuple[float, float, float]:
    """Return a pack's training steps a second of CPU time, the MiB that it took, and those that were estimated."""
    import torch

    torch.set_num_threads(1)
    of_pack = configs("value", size, overrides)
    estimated = sum(trial.footprint for trial in try_out(of_pack)) / 2**20
    before = _peak()
    pack = assemble(of_pack)
    begun = time.process_time()
    for _ in train(pack.collector, pack.stacked, pack.learners):
        pass
    rate = sum(learner.steps for learner in pack.learners) / (time.process_time() - begun)
    evaluations = Evaluations(pack.evaluator, of_pack[0].evaluation)
    for run, learner in enumerate(pack.learners):
        state = capture(learner, pack.collector, run)
        evaluations.waiting.append(Due(run, of_pack[run].seed, 1.0, True, state))
    for _ in evaluations.take():
        pass
    pack.close()
    return rate, _peak() - before, estimated


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBIBYTE


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 8, 32, 64, 128, 256])
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    overrides = arguments.overrides or ["budget.steps=20000"]
    print(f"{'runs':>5}{'steps/s':>12}{'of the first':>14}{'memory, MiB':>14}{'estimated':>11}{'ratio':>8}")
    first = None
    for size in arguments.sizes:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            rate, memory, estimated = process.submit(measured, size, overrides).result()
        first = first or rate
        ratio = f"{memory / estimated:>8.2f}"
        print(f"{size:>5}{rate:>12,.0f}{rate / first:>14.1f}{memory:>14.0f}{estimated:>11.0f}{ratio}", flush=True)


if __name__ == "__main__":
    main()
