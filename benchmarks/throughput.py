"""Training throughput of a pack, told apart from start-up, evaluation and recording.

    python -m benchmarks.throughput [--runs 32] [--repeats 5] [OVERRIDE ...]

For each baseline, packs of the shipped configuration train on one core: `packed` is the steps a second of all runs of
the pack, `alone` that of one run by itself, and the ratio is what packing gains. Then the whole sweep runs once as the
command runs it, with evaluation and MLflow. Figures vary from machine to machine and day to day; ratios much less.
"""

from pgexp.schema import determinism

determinism.pin()

import argparse
import resource
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from rich.console import Console

from pgexp.cli.config import typed
from pgexp.cli.folder import config_folder
from pgexp.execution.assembly import assemble
from pgexp.execution.command import train_sweep
from pgexp.execution.plan import Job
from pgexp.learning.evaluator import Subject
from pgexp.learning.trainer import train
from pgexp.schema.config import Option, RunConfig
from pgexp.schema.sweep import Settings, Sweep

HERE = Settings(Sweep(), Option("pgexp.execution.workers.local.LocalWorkers", {"processes": 0}))  # in this process
BASELINES = ("none", "mean", "leave_one_out", "value")
MEBIBYTE = 1024  # kibibytes, in which Linux tells memory


def configs(baseline: str, runs: int, overrides: list[str]) -> list[RunConfig]:
    """Return the shipped configuration with this baseline, for so many seeds."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        first = typed(compose("config", overrides=[f"baseline={baseline}", *overrides]), {"baseline": baseline})
    return [replace(first, seed=seed) for seed in range(runs)]


def training_rate(pack_configs: list[RunConfig]) -> float:
    """Return training steps a second of wall time, of all runs together."""
    pack = assemble(pack_configs)
    begun = time.perf_counter()
    for _ in train(pack.collector, pack.stacked, pack.learners):
        pass
    seconds = time.perf_counter() - begun
    pack.close()
    return sum(learner.steps for learner in pack.learners) / seconds


def evaluation_rate(pack_configs: list[RunConfig]) -> float:
    """Return evaluation episodes a second of an untrained pack."""
    pack = assemble(pack_configs)
    subjects = [Subject(config.seed, "final") for config in pack_configs]
    begun = time.perf_counter()
    pack.evaluator.evaluate(pack.stacked, subjects, 100, greedy=False)
    seconds = time.perf_counter() - begun
    pack.close()
    return 100 * len(subjects) / seconds


def whole_sweep(all_configs: list[RunConfig]) -> None:
    """Run the sweep as the command does, and print its time and the recorder's."""
    with tempfile.TemporaryDirectory() as folder:
        tracking = replace(all_configs[0].tracking, uri=f"sqlite:///{folder}/mlflow.db")
        jobs = [Job(replace(config, tracking=tracking), Path(folder) / str(i)) for i, config in enumerate(all_configs)]
        begun, used = time.perf_counter(), time.process_time()
        train_sweep(jobs, Path(folder), HERE, dict, Console(quiet=True))
        wall, cpu = time.perf_counter() - begun, time.process_time() - used
    recorder = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"\nwhole sweep of {len(jobs)} runs, training to recorded: {wall:.1f} s; trainer's CPU {cpu:.1f} s, "
          f"recorder's CPU beside it {recorder.ru_utime + recorder.ru_stime:.1f} s")  # fmt: skip
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBIBYTE
    print(f"peak memory: trainer {own:.0f} MiB, recorder {recorder.ru_maxrss / MEBIBYTE:.0f} MiB")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'baseline':<15}{'packed, steps/s':>28}{'alone, steps/s':>17}{'ratio':>8}{'evaluation, episodes/s':>25}")
    for baseline in BASELINES:
        pack = configs(baseline, arguments.runs, arguments.overrides)
        rates = sorted(training_rate(pack) for _ in range(arguments.repeats))
        alone = training_rate(pack[:1])
        median = statistics.median(rates)
        span = f"{median:,.0f} [{rates[0]:,.0f}, {rates[-1]:,.0f}]"
        print(
            f"{baseline:<15}{span:>28}{alone:>17,.0f}{median / alone:>8.1f}{evaluation_rate(pack):>25,.0f}", flush=True
        )
    whole_sweep([config for baseline in BASELINES for config in configs(baseline, 8, arguments.overrides)])


if __name__ == "__main__":
    main()
