"""Trains Tianshou's Reinforce on an environment with discrete actions; a program of the peers' environment.

    python run_tianshou.py '{"env_id": "CartPole-v1", ...}'

Prints the time of the end of each update and the update's steps as JSON. The loop is that of Tianshou's on-policy
trainer, without its logging and evaluation.
"""

import json
import sys
import time
from typing import Any

import gymnasium as gym
import torch
from tianshou.algorithm import Reinforce
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.utils.net.common import Net
from tianshou.utils.net.discrete import DiscreteActor
from tianshou.utils.torch_utils import policy_within_training_step


def train(settings: dict[str, Any], seed: int) -> list[tuple[float, int]]:
    """Train one run; return the time and the number of steps of each update."""
    torch.manual_seed(seed)
    activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[settings["activation"]]
    envs = DummyVectorEnv([lambda: gym.make(settings["env_id"]) for _ in range(settings["num_envs"])])
    envs.seed(seed)
    observations, actions = envs.observation_space[0], envs.action_space[0]
    network = Net(state_shape=observations.shape, hidden_sizes=[64, 64], activation=activation)
    actor = DiscreteActor(preprocess_net=network, action_shape=actions.n, softmax_output=False)
    policy = DiscreteActorPolicy(actor=actor, action_space=actions, observation_space=observations)
    algorithm = Reinforce(policy=policy, gamma=0.99, optim=AdamOptimizerFactory(lr=settings["lr"]))
    batch = settings["num_envs"] * settings["segment"]
    collector = Collector(algorithm, envs, VectorReplayBuffer(batch, settings["num_envs"]))
    collector.reset()
    stamps: list[tuple[float, int]] = []
    with policy_within_training_step(policy):
        while len(stamps) * batch < settings["steps"]:
            collector.collect(n_step=batch)
            algorithm.update(buffer=collector.buffer, batch_size=None, repeat=1)
            collector.reset_buffer(keep_statistics=True)
            stamps.append((time.time(), batch))
    envs.close()
    return stamps


def main() -> None:
    """Train the runs one after another."""
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    stamps = [stamp for run in range(settings["runs"]) for stamp in train(settings, settings["seed"] + run)]
    print(json.dumps({"stamps": stamps}))


if __name__ == "__main__":
    main()
