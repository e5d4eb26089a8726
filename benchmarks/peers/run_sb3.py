"""Trains Stable-Baselines3's A2C or PPO; a program of the peers' environment.

    python run_sb3.py '{"algorithm": "PPO", "env_id": "CartPole-v1", ...}'

Prints the time of the end of each rollout and the rollout's steps as JSON. PPO takes one gradient step per rollout, as
A2C does; both use Adam.
"""

import json
import sys
import time
from typing import Any

import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_util import make_vec_env


def train(settings: dict[str, Any], seed: int) -> list[tuple[float, int]]:
    """Train one run; return the time and the number of steps of each rollout."""
    stamps = []
    batch = settings["num_envs"] * settings["segment"]

    def stamp(local: dict[str, Any], _: dict[str, Any]) -> bool:
        if local["self"].num_timesteps % batch == 0:
            stamps.append((time.time(), batch))
        return True

    activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[settings["activation"]]
    common = {
        "env": make_vec_env(settings["env_id"], settings["num_envs"], seed),
        "learning_rate": settings["lr"],
        "n_steps": settings["segment"],
        "policy_kwargs": {"net_arch": [64, 64], "activation_fn": activation, "optimizer_class": torch.optim.Adam},
        "seed": seed,
        "device": "cpu",
    }
    if settings["algorithm"] == "A2C":
        model = A2C("MlpPolicy", use_rms_prop=False, **common)
    else:
        model = PPO("MlpPolicy", n_epochs=1, batch_size=batch, **common)
    model.learn(settings["steps"], callback=stamp)
    model.env.close()
    return stamps


def main() -> None:
    """Train the runs one after another."""
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    stamps = [stamp for run in range(settings["runs"]) for stamp in train(settings, settings["seed"] + run)]
    print(json.dumps({"stamps": stamps}))


if __name__ == "__main__":
    main()
