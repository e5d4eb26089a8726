"""A model as the sink logs it, of a policy with a user's own network, and the actions of training's policy."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgexp.envs.spaces import hander
from pgexp.execution.policies import load_policy
from pgexp.schema.config import Option, RunConfig
from pgexp.schema.streams import generator
from pgexp.storage import code
from pgexp.storage.mlflow_model import write_model
from tests.execution.kept import keep

SEED = 11
ROWS = 6

# A user's own module, with one beside it that it imports.
FILES = {
    "nets/__init__.py": "",
    "nets/activations.py": "def bend(x):\n    return x.clamp(min=-1.0, max=1.0)\n",
    "nets/bent.py": """
from pgexp.networks.layers import Dense
from pgexp.networks.network import Network
from pgexp.schema.types import PositiveInt

from .activations import bend


class Bent(Network):
    def __init__(self, inputs: int, outputs: int, units: PositiveInt) -> None:
        self._layers = (Dense("in", inputs, units, "xavier", 1.0), Dense("out", units, outputs, "xavier", 1.0))

    def initial(self, streams):
        return {name: tensor for layer in self._layers for name, tensor in layer.initial(streams).items()}

    def __call__(self, parameters, x):
        first, second = self._layers
        return second(parameters, bend(first(parameters, x)))
""",
}

# Loads a model as anybody does, and prints what it does, where its code is from, and all settings that decide bits.
LOADING = """
import json, sys
from pathlib import Path
sys.path = [path for path in sys.path if not Path(path, "pgexp", "__init__.py").is_file()]
import mlflow, numpy as np
model = mlflow.pyfunc.load_model(sys.argv[1])
observations = np.array(json.loads(sys.argv[2]), np.float32)
told = {name: model.predict(observations, params=params).tolist() for name, params in json.loads(sys.argv[3]).items()}
loaded = {name: module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] in ("pgexp", "nets")}
print(json.dumps({"actions": told, "loaded": loaded}))
"""
PARAMS: Mapping[str, Mapping[str, Any]] = {"greedy": {}, "sampled": {"greedy": False, "seed": SEED}}


@dataclass(frozen=True)
class Made:
    """A model, observations, and the actions of training's policy for them."""

    path: Path
    observations: np.ndarray
    actions: Mapping[str, Any]

    def load(self, python: Path) -> Mapping[str, Any]:
        """Return the model's actions and its modules, as an interpreter loads them away from the repository."""
        asked: Sequence[str] = [json.dumps(self.observations.tolist()), json.dumps(PARAMS)]
        command = [python, "-I", "-c", LOADING, self.path, *asked]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stderr
        told: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told


def write_user(folder: Path) -> None:
    """Write the user's module into a folder, which the caller adds to the import path."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def make(config: RunConfig, folder: Path) -> Made:
    """Make the model of a policy on Pendulum, whose actions are real numbers, so that each bit shows."""
    config = replace(config, network=Option("nets.bent.Bent", {"units": 7}))
    run, parameters = keep(config, folder / "policy")
    code.write(code.collect(frozenset({"nets.bent"})), folder)
    described = load_policy(folder / "policy").description
    write_model(folder / "model", folder, described, run_id="0" * 32, model_id="m-0")
    observations = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
    uniforms = generator(SEED, "serve").random((ROWS, run.policy.distribution.draws))
    actions = {}
    for name, draws in (("greedy", None), ("sampled", torch.from_numpy(uniforms))):
        choice = run.policy.act(parameters, torch.from_numpy(observations), torch.zeros(ROWS, 0), draws)
        taken = hander(run.env.spaces.action)(choice.actions.numpy().reshape(ROWS, -1))
        actions[name] = [action.tolist() for action in taken]
    return Made(folder / "model", observations, actions)
