"""Throughput of one run on one core, as a share of what limits it.

    python -m benchmarks.throughput [--seconds 3] [--repeats 3] [--json] [PART ...]

Parts: cartpole, tutorial, simulators, module; all of them without a name. Rates are training steps per second of wall
time, medians over repeats, of training alone: no evaluation, no recording.

- cartpole: acting, learning and both, as a share of the rate at which the machine's sgemm would compute the same
  products (one product of 2048 x 64 by 64 x 64 in NumPy, measured next to each row).
- tutorial: one environment and one episode per update, against a plain PyTorch loop written here.
- simulators: MuJoCo and Box2D, against bare `env.step` that repeats the same episodes with the same actions, of
  `gym.make(id)` and of the same without Gymnasium's checks of each step, which pgexp leaves out, too.
- module: a user's torch network that has no compiled forward pass.

Absolute rates vary from machine to machine and from day to day; ratios within one call much less.
"""

from pgexp.schema import determinism

determinism.pin()

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import gymnasium as gym
import numpy as np
import torch
from hydra import compose, initialize_config_dir

from pgexp.algorithms.collector import Collector
from pgexp.cli.compose import config_folder, run_config
from pgexp.envs.bank import Bank, Start, Transition
from pgexp.envs.spaces import action_converter
from pgexp.execution.assembly import Run, assemble
from pgexp.functional.arrays import Floats, Rows
from pgexp.functional.batch import Batch
from pgexp.schema.config import Option, RunConfig
from pgexp.schema.sweep import Settings, Sweep

SEGMENTS: Final = ("env.num_envs=16", "algorithm.batch.episodes=null", "algorithm.batch.steps=128")
DROPPED: Final = (*SEGMENTS, "algorithm.partial_episodes=drop")  # the batch mean predicts nothing to bootstrap with
WIDE: Final = ("network.widths=[64,64]",)
VALUE: Final = ("baseline=value", "baseline.network.widths=[64,64]", "baseline.value_updates=1")
CARTPOLE: Final[Mapping[str, tuple[str, ...]]] = {
    "relu, mean, segments": (*WIDE, "baseline=mean", *DROPPED),
    "relu, mean, segments, no diagnostics": (*WIDE, "baseline=mean", *DROPPED, "diagnostics=off"),
    "tanh, mean, segments": (*WIDE, "network.activation=tanh", "baseline=mean", *DROPPED),
    "relu, value, segments": (*WIDE, *VALUE, *SEGMENTS),
    "tanh, value, segments": (*WIDE, *VALUE, *SEGMENTS, "network.activation=tanh"),
    "relu, mean, 16 episodes": (*WIDE, "baseline=mean", "env.num_envs=16", "algorithm.batch.episodes=16"),
}
SIMULATORS: Final[Mapping[str, tuple[str, ...]]] = {
    "HalfCheetah-v5": ("env=halfcheetah", *WIDE, *VALUE, *SEGMENTS),
    "Hopper-v5": ("env=hopper", *WIDE, *VALUE, *SEGMENTS),
    "LunarLander-v3": ("env=lunarlander", *WIDE, *VALUE, *SEGMENTS),
}

HERE: Final = Settings(Sweep(), Option("pgexp.execution.workers.local.LocalWorkers", {"processes": 0}))  # no workers

Row = dict[str, Any]


class SmallModule(torch.nn.Module):
    """A network of a user's own, which acts in torch."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(inputs, 64), torch.nn.Linear(64, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs. x: [B, inputs]."""
        outputs: torch.Tensor = self.second(torch.nn.functional.gelu(self.first(x)))
        return outputs


def config_of(*overrides: str) -> RunConfig:
    """Return the shipped configuration with these overrides, and a budget without end."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return run_config(compose("config", overrides=["budget.steps=1_000_000_000", *overrides]), {})


def sgemm() -> float:
    """Return the floating-point operations per second of a large product in NumPy."""
    generator = np.random.default_rng(0)
    a, b = (generator.standard_normal(shape, np.float32) for shape in ((2048, 64), (64, 64)))
    best = min(timed(lambda: a @ b) for _ in range(50))
    return 2 * 2048 * 64 * 64 / best


def timed(call: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def operations_per_step(run: Run, fits: int) -> int:
    """Return the floating-point operations of the products of one step: acting, and learning forward and backward.

    fits: the passes forward and backward of a value network of the policy's size.
    """
    products = sum(tensor.numel() for tensor in run.parameters.views.values() if tensor.ndim == 2)
    return 2 * products * (1 + 3 * (1 + fits))


class TimedCollector(Collector):
    """A collector that measures the seconds of its last batch."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self.seconds = 0.0

    def collect(self) -> Batch:
        """Return the next batch."""
        start = time.perf_counter()
        batch = self._collector.collect()
        self.seconds = time.perf_counter() - start
        return batch


def measure(run: Run, seconds: float) -> dict[str, float]:
    """Train for some seconds after a warm-up; return the rates of acting, of learning and of both."""
    acting = learning = 0.0
    begun, first = time.perf_counter(), -1
    run.trainer.collector = collector = TimedCollector(run.collector)
    while acting + learning < seconds:
        if first < 0 and time.perf_counter() - begun > 0.5:
            acting, learning, first = 0.0, 0.0, run.trainer.steps
        start = time.perf_counter()
        run.trainer.update()
        learning += time.perf_counter() - start - collector.seconds
        acting += collector.seconds
    steps = run.trainer.steps - first
    return {"acting": steps / acting, "learning": steps / learning, "both": steps / (acting + learning)}


def cartpole(seconds: float, repeats: int) -> Iterator[Row]:
    """Yield a row per setting of CartPole."""
    for name, overrides in CARTPOLE.items():
        found = []
        for _ in range(repeats):
            run = assemble(config_of(*overrides))
            limit = sgemm() / operations_per_step(run, 2 if "value" in name else 0)
            rates = measure(run, seconds)
            found.append({**rates, "share of sgemm": rates["both"] / limit})
        yield {"part": "cartpole", "setting": name, **medians(found)}


def tutorial(seconds: float, repeats: int) -> Iterator[Row]:
    """Yield the tutorial's setting against a plain PyTorch loop, in turn."""
    found = []
    for _ in range(repeats):
        run = assemble(config_of("experiment=tutorial", "budget.episodes=1_000_000", "budget.steps=null"))
        ours = measure(run, seconds)["both"]
        plain = plain_loop(seconds)
        found.append({"both": ours, "plain PyTorch loop": plain, "times": ours / plain})
    yield {"part": "tutorial", "setting": "1 environment, 1 episode per update, 24-24", **medians(found)}


def plain_loop(seconds: float) -> float:
    """Return the steps per second of REINFORCE as tutorials write it: one episode, one update."""
    env = gym.make("CartPole-v1")
    policy = torch.nn.Sequential(
        torch.nn.Linear(4, 24), torch.nn.ReLU(), torch.nn.Linear(24, 24), torch.nn.ReLU(), torch.nn.Linear(24, 2)
    )
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.01)
    steps, begun, seed = 0, time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begun) < seconds:
        observation, _ = env.reset(seed=seed)
        seed += 1
        log_probs, rewards, over = [], [], False
        while not over:
            distribution = torch.distributions.Categorical(logits=policy(torch.from_numpy(observation)))
            action = distribution.sample()
            log_probs.append(distribution.log_prob(action))
            observation, reward, terminated, truncated, _ = env.step(int(action))
            rewards.append(float(reward))
            over = terminated or truncated
        returns: list[float] = []
        following = 0.0
        for reward in reversed(rewards):
            following = reward + 0.99 * following
            returns.insert(0, following)
        loss = -(torch.stack(log_probs) * torch.tensor(returns)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += len(rewards)
    return steps / elapsed


class Recorded(Bank):
    """A bank that notes what its environments are asked for."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self.calls: list[tuple[int, int | None, Floats | None]] = []  # row, and a seed or an action

    def start(self, rows: Rows, seeds: Sequence[int]) -> Start:
        """Note the seeds."""
        self.calls += [(row, seed, None) for row, seed in zip(rows.tolist(), seeds, strict=True)]
        return self._bank.start(rows, seeds)

    def step(self, rows: Rows, actions: Floats) -> Transition:
        """Note the actions."""
        self.calls += [(row, None, action) for row, action in zip(rows.tolist(), actions.copy(), strict=True)]
        return self._bank.step(rows, actions)

    def close(self) -> None:
        """Release the environments."""
        self._bank.close()


def simulators(seconds: float, repeats: int) -> Iterator[Row]:
    """Yield training against bare `env.step` with the same seeds and actions, update by update in turn."""
    for name, overrides in SIMULATORS.items():
        yield {"part": "simulators", "setting": name, **simulator(config_of(*overrides), seconds * repeats)}


def simulator(config: RunConfig, seconds: float) -> dict[str, float]:
    """Return the rates of a training of so many seconds and of bare environments, and their ratios."""
    run = assemble(config)
    rollout: Any = run.collector._rollout
    rollout.bank = recorded = Recorded(rollout.bank)
    hand = action_converter(run.env.spaces.action)
    count = range(config.num_envs)
    bare = {
        "gym.make": [gym.make(config.env.id, **config.env.kwargs) for _ in count],
        "gym.make without checks": [run.env.make() for _ in count],
    }
    spent = dict.fromkeys(["both", *bare], 0.0)
    updates, first, clock = run.trainer.train(), 0, time.perf_counter
    while spent["both"] < seconds:
        begun = clock()
        next(updates)
        spent["both"] += clock() - begun
        calls = [(row, seed, None if action is None else hand(action[None])[0]) for row, seed, action in recorded.calls]
        recorded.calls.clear()
        for kind, envs in bare.items():
            begun = clock()
            for row, seed, action in calls:
                if seed is None:
                    envs[row].step(action)
                else:
                    envs[row].reset(seed=seed)
            spent[kind] += clock() - begun
        if not first:  # the first update makes the environments, and has none of its time counted
            first, spent = run.trainer.steps, dict.fromkeys(spent, 0.0)
    run.close()
    steps = run.trainer.steps - first
    rates = {kind: steps / elapsed for kind, elapsed in spent.items()}
    return rates | {f"share of {kind}": rates["both"] / rates[kind] for kind in bare}


def module(seconds: float, repeats: int) -> Iterator[Row]:
    """Yield the rate of a user's torch module on CartPole."""
    own = Option(f"{SmallModule.__module__}.{SmallModule.__qualname__}", {})
    config = replace(config_of("baseline=mean", *DROPPED), network=own)
    found = [measure(assemble(config), seconds) for _ in range(repeats)]
    yield {"part": "module", "setting": "a user's torch.nn.Module on CartPole, 16 x 128", **medians(found)}


def medians(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: statistics.median(row[name] for row in found) for name in found[0]}


PARTS: Final = {"cartpole": cartpole, "tutorial": tutorial, "simulators": simulators, "module": module}


def main() -> None:
    """Print a line per setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("parts", nargs="*", metavar="PART")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    for part in arguments.parts or PARTS:
        for row in PARTS[part](arguments.seconds, arguments.repeats):
            if arguments.json:
                print(json.dumps(row), flush=True)
                continue
            figures = {name: value for name, value in row.items() if name not in ("part", "setting")}
            told = (
                f"{name} {value:,.0f}" if value >= 100 else f"{name} {value:.2f}" for name, value in figures.items()
            )
            print(f"{row['part']}: {row['setting']}: {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
