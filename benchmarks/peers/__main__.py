"""Speed of pgexp against other libraries, from prompt to prompt, and the cost of recording.

    python -m benchmarks.peers [--quick] [--seconds N] [--repeats N] [--json FILE] [--figure FILE] [--markdown]
                               [--read FILE] [PART ...]

Parts: one_run, many_runs, simulators, prompt, thousand_runs, costs; without a name, all. README.md describes them.

The peers are installed into an environment of their own at the first use. Each measurement is a process (or command) of
its own. The contestants of a setting alternate: A, B, ..., then ..., B, A. Rates are slopes between 10 % and 100 % of
the steps. Ratios are computed within a repeat.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.contestants import (
    CORES,
    ENV_OPTIONS,
    EXPECTED_COMPILED,
    EXPECTED_PEER,
    EXPECTED_SIMULATED,
    PEERS,
    PEERS_FOLDER,
    PGEXP,
    PGEXP_NO_EXPORTER,
    RUNS,
    SHOWN_OURS,
    SHOWN_PEERS,
    SIZES,
    TORCH,
    WITH_EXPORTER,
    Contestants,
    Measurement,
    Plan,
    Workplace,
    network_overrides,
    paired,
    peer_rate,
    pgexp_rate,
    workplace,
)
from benchmarks.peers.results import (
    IMPORTS,
    LONG_RUN,
    NO_EXPORTER,
    PART_TITLES,
    RATES,
    SHORT_RUN,
    SWEEP,
    Row,
    draw,
    figures,
    markdown,
    medians,
)
from pgexp.runs.manifest import load_manifest
from pgexp.runs.metric_tables import read_metrics
from pgexp.runs.provenance import machine
from pgexp.runs.run_log import End, RunLogReader
from pgexp.runs.run_log import Row as RunRow
from pgexp.schema import names


def cartpole(part: str, plan: Plan) -> Iterator[Row]:
    """Yield rates on CartPole, of one run or of 32."""
    runs = RUNS if part == "many_runs" else 1
    baselines = {"mean": "batch mean", "value": "value network"}
    activations = {"relu": "ReLU"} if plan.quick else {"relu": "ReLU", "tanh": "tanh"}
    with workplace() as place:
        for baseline, activation in product(baselines, activations):
            contestants = cartpole_contestants(place, plan, runs, baseline, activation)
            yield from paired(part, f"{baselines[baseline]}, {activations[activation]}", contestants, plan.repeats)


def cartpole_contestants(place: Workplace, plan: Plan, runs: int, baseline: str, activation: str) -> Contestants:
    """Return pgexp and its peers on CartPole, of one run or of several on all cores."""
    processes = min(runs, CORES)
    least = 2 if runs > 1 and plan.quick else 10  # updates per run
    fast, slow = (plan.steps(rate * processes / runs, least) for rate in (EXPECTED_COMPILED, EXPECTED_PEER))
    overrides = (*network_overrides(activation, baseline), f"budget.steps={fast}")
    settings = {"runs": runs, "activation": activation, "baseline": baseline, "steps": slow, **SIZES}
    jax = {**settings, "steps": fast, "updates_per_call": max(1, 40 // runs)}
    contestants: dict[str, Callable[[], Measurement]] = {
        "pgexp": lambda: pgexp_rate(place, PGEXP, overrides, runs),
        NO_EXPORTER: lambda: pgexp_rate(place, PGEXP_NO_EXPORTER, overrides, runs),
        "JAX": lambda: peer_rate("run_jax.py", jax, 1),
    }
    if baseline == "mean":
        contestants["Tianshou"] = lambda: peer_rate("run_tianshou.py", settings, processes)
    else:
        contestants["SB3 A2C"] = lambda: peer_rate("run_sb3.py", {**settings, "algorithm": "A2C"}, processes)
        contestants["SB3 PPO"] = lambda: peer_rate("run_sb3.py", {**settings, "algorithm": "PPO"}, processes)
    return contestants


def one_run(plan: Plan) -> Iterator[Row]:
    """Yield rates of one run alone on CartPole."""
    return cartpole("one_run", plan)


def many_runs(plan: Plan) -> Iterator[Row]:
    """Yield rates of 32 runs on all cores on CartPole."""
    return cartpole("many_runs", plan)


def simulators(plan: Plan) -> Iterator[Row]:
    """Yield rates of one run alone on MuJoCo, value network, tanh."""
    with workplace() as place:
        for env, rate in EXPECTED_SIMULATED.items():
            yield from paired("simulators", env, simulator_contestants(place, env, plan.steps(rate)), plan.repeats)


def simulator_contestants(place: Workplace, env: str, steps: int) -> Contestants:
    """Return pgexp and Stable-Baselines3 on an environment."""
    overrides = (f"env={ENV_OPTIONS[env]}", *network_overrides("tanh", "value"), f"budget.steps={steps}")
    settings = {"runs": 1, "activation": "tanh", "steps": steps, **SIZES, "env_id": env}
    return {
        "pgexp": lambda: pgexp_rate(place, PGEXP, overrides, 1),
        "SB3 A2C": lambda: peer_rate("run_sb3.py", {**settings, "algorithm": "A2C"}, 1),
        "SB3 PPO": lambda: peer_rate("run_sb3.py", {**settings, "algorithm": "PPO"}, 1),
    }


def prompt(plan: Plan) -> Iterator[Row]:
    """Yield seconds from prompt to prompt with an existing store, and of the parts of a run."""
    with workplace() as place:

        def command(*words: str, code: int = 0) -> Measurement:
            return Measurement(place.run(words, code)[1], "1", {})

        def training(steps: int) -> Measurement:
            folder = place.new_folder()
            start, seconds, _ = place.run((*PGEXP, f"budget.steps={steps}", f"hydra.run.dir={folder}"))
            items = RunLogReader(folder / names.ROWS_FILE).read()
            updates = [item for item in items if isinstance(item, RunRow) and names.STEPS_PER_SECOND in item.metrics]
            (end,) = (item for item in items if isinstance(item, End))
            recorded = (folder / names.MANIFEST_FILE).stat().st_mtime
            parts = {
                "until the run is recorded": recorded - start,  # imports, configuration, provenance
                "until the first update": updates[0].time / 1000 - recorded,
                "until the last update": (updates[-1].time - updates[0].time) / 1000,
                "until the run's end": (end.time - updates[-1].time) / 1000,  # the final evaluation
                "until the prompt": start + seconds - end.time / 1000,  # the rest of recording in MLflow
            }
            return Measurement(seconds, "1" + WITH_EXPORTER, parts)

        def imports() -> Measurement:
            words = ("env", "PYTHONPROFILEIMPORTTIME=1", *PGEXP, "budget.steps=1000")
            lines = place.run(words)[2].splitlines()
            spent = [line.removeprefix("import time:").split("|")[0] for line in lines if line.startswith("import ti")]
            return Measurement(sum(int(own) for own in spent if own.strip().isdigit()) / 1e6, "1", {})

        contestants: Contestants = {
            IMPORTS: lambda: command(sys.executable, "-c", "import torch, mlflow"),
            SHORT_RUN: lambda: training(1_000),
            LONG_RUN: lambda: training(200_000),
            "imports of the command": imports,
            "pgexp --help": lambda: command(*PGEXP, "--help"),
            "unknown key": lambda: command(*PGEXP, "optimizer.rl=0.1", code=2),
            "invalid value": lambda: command(*PGEXP, "optimizer.lr=-1", code=2),
        }
        yield from paired("prompt", "store exists", contestants, plan.repeats)


def thousand_runs(plan: Plan) -> Iterator[Row]:
    """Yield the seconds of 1,024 runs of 20,000 steps in one command, and counts of what was recorded."""
    runs = 64 if plan.quick else 1024

    def measure() -> Measurement:
        with workplace() as place:
            folder = place.new_folder()
            words = ("-m", f"seed=range({runs})", "budget.steps=20000", f"hydra.sweep.dir={folder}")
            seconds = place.run((*PGEXP, *words))[1]
            return Measurement(seconds, f"{CORES} x 1" + WITH_EXPORTER, recorded(folder))

    yield from paired("thousand_runs", "20,000 steps per run", {f"{runs:,} runs": measure}, plan.repeats)


def recorded(folder: Path) -> dict[str, int]:
    """Return counts of what a sweep's folder and its store hold. Raises SystemExit if anything is missing."""
    from pgexp.tracking.client import connect, search_runs

    sweep = load_manifest(folder)
    items = {run.record: RunLogReader(sweep.folder_of(run) / names.ROWS_FILE).read() for run in sweep.runs}
    rows = {key: sum(isinstance(item, RunRow) for item in found) for key, found in items.items()}
    client = connect(sweep.tracking.uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    stored = [run.data for run in search_runs(client, experiments, "attributes.status = 'FINISHED'")]
    of_sweep = [data for data in stored if data.tags.get(names.TAG_SWEEP) == sweep.sweep]
    own = [data for data in of_sweep if data.tags[names.TAG_ROLE] == names.ROLE_RUN]
    complete = [data for data in own if int(data.tags[names.TAG_ROWS_SYNCED]) == rows[data.tags[names.TAG_RECORD]]]
    configurations = [data for data in of_sweep if data.tags[names.TAG_ROLE] == names.ROLE_CONFIGURATION]
    counts = {
        "runs": len(sweep.runs),
        "finished in their folders": sum(
            any(isinstance(item, End) and item.status == "FINISHED" for item in found) for found in items.values()
        ),
        "finished in the store": len(own),
        "with a final return in the store": sum(names.FINAL_RETURN in data.metrics for data in own),
        "with all rows in the store": len(complete),
        "with all rows in metrics.parquet": sum(
            len(read_metrics(sweep.folder_of(run) / names.METRICS_FILE, ())) == rows[run.record] for run in sweep.runs
        ),
        "summarised in the store": sum(int(data.metrics.get(names.SEEDS, 0)) for data in configurations),
    }
    rows_of_all = {"rows": sum(rows.values())}
    if set(counts.values()) != {len(sweep.runs)}:
        raise SystemExit(f"the record of {len(sweep.runs):,} runs is incomplete: {counts | rows_of_all}")
    return counts | rows_of_all


def costs(plan: Plan) -> Iterator[Row]:
    """Yield the seconds of the command of `make sweep`, and of the same without a part of its work."""
    seeds = 2 if plan.quick else 10
    words = ("-m", "baseline=none,mean,value", f"seed=range({seeds})", "sweep.rerun=true")
    with workplace() as place:

        def sweep(*more: str, program: Sequence[str] = PGEXP) -> Measurement:
            folder = place.new_folder()
            seconds = place.run((*program, *words, *more, f"hydra.sweep.dir={folder}"))[1]
            return Measurement(seconds, f"{CORES} x 1" + WITH_EXPORTER * (program == PGEXP), {})

        contestants: Contestants = {
            SWEEP: sweep,
            "without recording": lambda: sweep(program=PGEXP_NO_EXPORTER),
            "diagnostics=off": lambda: sweep("diagnostics=off"),
            "checkpoint.seconds=null": lambda: sweep("checkpoint.seconds=null"),
        }
        yield from paired("costs", f"3 baselines x {seeds} seeds x 200,000 steps", contestants, plan.repeats)


PARTS: Final = {
    "one_run": one_run,
    "many_runs": many_runs,
    "simulators": simulators,
    "prompt": prompt,
    "thousand_runs": thousand_runs,
    "costs": costs,
}


def install_peers() -> None:
    """Install the peers, unless an environment with the same pins exists."""
    pins = PEERS_FOLDER / "pins.txt"
    text = "\n".join(PEERS)
    if pins.exists() and pins.read_text() == text:
        return
    print(f"installing {', '.join(PEERS)} into {PEERS_FOLDER}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEERS_FOLDER)], check=True)
    pip = [str(PEERS_FOLDER / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, TORCH], check=True)
    subprocess.run([*pip, *PEERS], check=True)
    pins.write_text(text)


def peer_versions() -> dict[str, str]:
    """Return the versions of the peers' main packages."""
    script = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    command = [str(PEERS_FOLDER / "bin" / "python"), "-c", script, *SHOWN_PEERS]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return dict(zip(SHOWN_PEERS, found, strict=True))


def measure(parts: Sequence[str], plan: Plan, command: str) -> dict[str, Any]:
    """Measure the parts and print a line per measurement; return the result."""
    versions = {"pgexp's environment": {name: version(name) for name in SHOWN_OURS}}
    if set(parts) & set(RATES):
        install_peers()
        versions["the peers' environment"] = peer_versions()
    rows = []
    for part in parts:
        for row in PARTS[part](plan):
            rows.append(row)
            value = f"{row['value']:,.0f} steps/s" if part in RATES else f"{row['value']:.2f} s"
            print(f"{part}: {row['setting']}: {row['contestant']}, repeat {row['repeat']}: {value}", flush=True)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "command": command,
        "machine": {key: value for key, value in machine().items() if key in ("cpu", "memory", "libc", "python")}
        | {"cores": CORES},
        "versions": versions,
        "measurements": rows,
        "medians": medians(rows),
        "figures": list(figures(rows)),
    }


def main() -> None:
    """Measure, or read an earlier result; print the targets; write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes and one repeat: a few minutes")
    parser.add_argument("--seconds", type=float, help="of each measurement of a rate, about (10; quick: 2)")
    parser.add_argument("--repeats", type=int, help="of each measurement (3; quick: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements, medians and figures")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the rates of CartPole")
    parser.add_argument("--markdown", action="store_true", help="print the result as Markdown tables")
    parser.add_argument("--read", type=Path, metavar="FILE", help="read the result from a --json file; measure nothing")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PART_TITLES))
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
    seconds, repeats = (2.0, 1) if arguments.quick else (10.0, 3)
    plan = Plan(arguments.seconds or seconds, arguments.repeats or repeats, arguments.quick)
    if arguments.read:
        result = json.loads(arguments.read.read_text())
    else:
        result = measure(arguments.parts or list(PARTS), plan, " ".join(["python -m benchmarks.peers", *sys.argv[1:]]))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))
    for row in figures(result["measurements"]):
        met = "" if row["met"] is None else "  met" if row["met"] else "  NOT MET"
        print(f"{row['part']}: {row['setting']}: {row['name']}: {row['text']}  target {row['target'] or 'none'}{met}")
    if arguments.markdown:
        print(markdown(result))
    if arguments.figure:
        draw(result["measurements"], arguments.figure)


if __name__ == "__main__":
    main()
