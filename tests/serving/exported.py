"""An exported model of a policy with a user's network, and the actions of that policy in training."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgexp.envs.spaces import action_converter
from pgexp.runs import user_code
from pgexp.schema.config import Option, RunConfig
from pgexp.schema.streams import generator
from pgexp.tracking.client import connect
from pgexp.tracking.models import export_model
from tests.execution.policy_files import keep

SEED = 11
ROWS = 6

# A user's module, and one that it imports.
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

# Program that loads a model, and prints its actions and the files of its modules.
LOADING = """
import json, sys
from pathlib import Path
sys.path = [path for path in sys.path if not Path(path, "pgexp", "__init__.py").is_file()]
import mlflow, numpy as np
model = mlflow.pyfunc.load_model(sys.argv[1])
observations = np.array(json.loads(sys.argv[2]), np.float32)
cases = json.loads(sys.argv[3])
actions = {name: model.predict(observations, params=params).tolist() for name, params in cases.items()}
loaded = {name: module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] in ("pgexp", "nets")}
print(json.dumps({"actions": actions, "loaded": loaded}))
"""
PARAMS: Mapping[str, Mapping[str, Any]] = {"greedy": {}, "sampled": {"greedy": False, "seed": SEED}}


@dataclass(frozen=True)
class ExportedPolicy:
    """A model, observations, and the actions of the policy in training for them."""

    path: Path
    observations: np.ndarray
    actions: Mapping[str, Any]

    def load(self, python: Path) -> Mapping[str, Any]:
        """Return the model's actions and its modules, loaded by an interpreter outside of the repository."""
        arguments: Sequence[str] = [json.dumps(self.observations.tolist()), json.dumps(PARAMS)]
        command = [python, "-I", "-c", LOADING, self.path, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stderr
        result: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


def write_user(folder: Path) -> None:
    """Write the user's modules into a folder, which the caller adds to the import path."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def export_policy(config: RunConfig, folder: Path) -> ExportedPolicy:
    """Export the model of a policy on Pendulum, whose actions are real numbers that show each bit."""
    config = replace(config, network=Option("nets.bent.Bent", {"units": 7}))
    run, parameters = keep(config, folder / "policy")
    user_code.write_code(user_code.archive_code(frozenset({"nets.bent"})), folder)
    client = connect(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow_run = client.create_run(client.create_experiment("served", (folder / "artifacts").as_uri()))
    model = client.get_logged_model(export_model(client, mlflow_run.info, folder).model_id)
    observations = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
    uniforms = generator(SEED, "serve").random((ROWS, run.policy.distribution.draws))
    actions = {}
    for name, draws in (("greedy", None), ("sampled", torch.from_numpy(uniforms))):
        choice = run.policy.act(parameters, torch.from_numpy(observations), torch.zeros(ROWS, 0), draws)
        taken = action_converter(run.env.spaces.action)(choice.actions.numpy().reshape(ROWS, -1))
        actions[name] = [action.tolist() for action in taken]
    return ExportedPolicy(Path(model.artifact_location.removeprefix("file://")), observations, actions)
