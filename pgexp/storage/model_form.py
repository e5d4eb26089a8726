"""What an MLflow model of a policy is beside the policy: the same for all policies that take and return the same.

MLflow writes it once for each form; for each of a thousand runs it would take twenty times as long as to copy that.
"""

import tempfile
import uuid
import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

from pgexp.schema.names import MODEL, POLICY_FOLDER
from pgexp.storage.policy_description import PolicyDescription

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*Any type hint is inferred")  # MLflow's own hints
    from mlflow.pyfunc import CODE, FLAVOR_NAME, save_model

ARCHIVE: Final = "code.zip"  # one file: a store is sent each of them by itself
_LOADER: Final = "pgexp.execution.serving"


@dataclass(frozen=True)
class Interface:
    """What a policy takes and returns."""

    observation: tuple[str, tuple[int, ...]]  # the kind of its numbers, and their shape
    action: tuple[str, tuple[int, ...]]
    memory: tuple[str, int]  # how many numbers it remembers, beside both; none has 0


@dataclass(frozen=True)
class ModelForm:
    """The files of a model, but for the policy's, its code and the one that says whose it is."""

    files: Mapping[str, bytes]
    template: Model

    @property
    def size(self) -> int:
        """The bytes of the files."""
        return sum(map(len, self.files.values()))

    def about(self, run_id: str, model_id: str, size: int) -> Model:
        """Return what says whose a model is, of so many bytes."""
        model = copy(self.template)
        model.run_id, model.model_id, model.model_uuid = run_id, model_id, uuid.uuid4().hex
        model.utc_time_created = str(datetime.now(UTC).replace(tzinfo=None))
        model.model_size_bytes = size
        return model


def interface_of(described: PolicyDescription) -> Interface:
    """Return what a policy takes and returns."""
    return Interface(
        (described.observation_dtype, tuple(described.observation_shape)),
        (described.action_dtype, tuple(described.action_shape)),
        (described.dtype, described.memory_size),
    )


@lru_cache(maxsize=8)
def model_form(interface: Interface, requirements: str) -> ModelForm:
    """Return the form of the models of an interface, for policies whose code needs the packages required."""
    with tempfile.TemporaryDirectory() as draft:
        path = Path(draft, MODEL)
        nothing = Path(draft, POLICY_FOLDER)
        nothing.mkdir()
        save_model(
            path,
            loader_module=_LOADER,
            data_path=str(nothing),
            mlflow_model=Model(artifact_path=MODEL),
            signature=_signature(interface),
            input_example=_example(interface),
            pip_requirements=requirements.split(),
        )
        about = Model.load(path)
        about.flavors[FLAVOR_NAME][CODE] = ARCHIVE  # what is imported from first; save_model knows folders
        (path / "MLmodel").unlink()
        return ModelForm({file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}, about)


def _signature(interface: Interface) -> ModelSignature:
    """Return it as MLflow has it; a policy with a memory has it beside both, by name."""
    kind, size = interface.memory
    if size:
        memory = _tensor(kind, (size,), "memory")
        inputs = [_tensor(*interface.observation, "observations"), memory]
        outputs = [_tensor(*interface.action, "actions"), memory]
    else:
        inputs, outputs = [_tensor(*interface.observation)], [_tensor(*interface.action)]
    params = ParamSchema([ParamSpec("greedy", "boolean", True), ParamSpec("seed", "long", None)])
    return ModelSignature(Schema([*inputs]), Schema([*outputs]), params)


def _tensor(kind: str, shape: tuple[int, ...], name: str | None = None) -> TensorSpec:
    return TensorSpec(np.dtype(kind), (-1, *shape), name)


def _example(interface: Interface) -> np.ndarray | dict[str, np.ndarray]:
    kind, shape = interface.observation
    observation = np.zeros((1, *shape), kind)
    memory, size = interface.memory
    return {"observations": observation, "memory": np.zeros((1, size), memory)} if size else observation
