"""Policy files of untrained runs."""

from pathlib import Path

import torch

import tests.probes  # noqa: F401 - registers the probes
from pgexp.execution.assembly import Run, assemble
from pgexp.execution.trained_policy import describe
from pgexp.networks.network import Parameters
from pgexp.runs.policy import write_policy
from pgexp.schema.config import RunConfig

STEPS = 1_234

# Overrides by name: one or more environments, networks and heads of each kind.
KINDS: dict[str, tuple[str, ...]] = {
    "discrete": ("env=cartpole",),
    "box, clipped": ("env=pendulum", "head=gaussian", "head.std=network"),
    "box, squashed": ("env=pendulum", "head=squashed_gaussian"),
    "box, beta": ("env.id=pgexp-probe/Target-v0", "head=beta", "+env.kwargs.size=3"),
    "multi-discrete, from 1": ("env.id=pgexp-probe/Dials-v0",),
    "multi-binary": ("env.id=pgexp-probe/Switches-v0",),
    "flat observations": ("env=frozenlake", "dtype=float64"),
    "normalised observations": ("env=cartpole", "env.normalize_observations=true"),
    "pictures": ("env.id=pgexp-probe/Bars-v0", "network=cnn_small", "network.channels=first"),
    "wrapped": (
        "env=cartpole",
        "env.wrappers=[{_target_:gymnasium.wrappers.FrameStackObservation,stack_size:3}]",
    ),
    "own dynamics": ("env.id=Dials", "env.dynamics={_target_:tests.user_parts.Dials,stuck:true}"),
    "own module": (
        *("env=cartpole", "network=linear", "network._target_=tests.user_networks.Residual"),
        *("~network.bias", "~network.initialization", "~network.gain"),
    ),
    "shared value": ("env=cartpole", "baseline=shared_value"),
    "with a memory": ("env.id=pgexp-probe/Recall-v0", "network=gru"),
    "with two memories": ("env.id=pgexp-probe/Recall-v0", "network=lstm", "dtype=float64"),
}


def keep(config: RunConfig, folder: Path) -> tuple[Run, Parameters]:
    """Write the policy of a config into a folder; return its run and its parameters.

    The parameters are perturbed, so that each of them changes the actions.
    """
    run = assemble(config)
    generator = torch.Generator().manual_seed(0)
    views = run.parameters.views
    with torch.no_grad():
        for name, tensor in views.items():
            noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
            tensor.copy_(noise + 0.5 if name.endswith("scale") else tensor + noise - 0.5)
    tensors = {name: tensor.detach().numpy().copy() for name, tensor in views.items()}
    write_policy(folder, tensors, describe(config, run.env, run.policy, STEPS))
    return run, views
