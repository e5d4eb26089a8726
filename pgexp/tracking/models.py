"""A run's policy as an MLflow model, with the code that it was trained with.

The model has the flavour ``python_function``; `pgexp.execution.serving` documents its inputs and outputs. It needs the
packages that its requirements.txt pins. It is created on demand: by pgexp-export, or at a run's end if its config names
a registered model.
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
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model, ModelSignature
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

from pgexp.runs.files import copy_file, link_file, replace_file
from pgexp.runs.policy import PolicyDescription, read_described_policy
from pgexp.schema.errors import UserError
from pgexp.schema.names import (
    CODE_FILE,
    MODEL,
    POLICY_FOLDER,
    REQUIREMENTS_FILE,
    TAG_CONFIGURATION,
    TAG_CONFIGURATION_NAME,
    TAG_KEY,
    TAG_RECORD,
    TAG_SWEEP,
)
from pgexp.tracking.client import MlflowClient, MlflowException, Run, RunInfo
from pgexp.tracking.store import local_folder

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*Any type hint is inferred")  # caused by MLflow's own type hints
    from mlflow.pyfunc import CODE, FLAVOR_NAME, save_model

ARCHIVE: Final = "code.zip"  # a single file, because a store is sent each file separately
_LOADER: Final = "pgexp.execution.serving"
_STEPS: Final = "steps"
_VERSION_TAGS: Final = (TAG_KEY, TAG_CONFIGURATION, TAG_CONFIGURATION_NAME, TAG_SWEEP, TAG_RECORD)  # of a model version


@dataclass(frozen=True)
class ExportedModel:
    """A model in MLflow, and its registered version if it has one."""

    run_id: str
    model_id: str
    version: str | None = None


def export_model(client: MlflowClient, run: RunInfo, folder: Path, name: str | None = None) -> ExportedModel:
    """Log the policy in a run's folder as the model of its MLflow run, and register it if `name` is not None.

    A repeated call, such as after an interruption, completes the model: a policy has one model, and one version of it.
    Raises UserError if the folder has no readable policy, or lacks its code.
    """
    description = _read_description(folder)
    mlflow_run = client.get_run(run.run_id)
    model = _find_model(client, run, description.steps)
    is_linked = model is not None and _is_linked(mlflow_run, model)
    if model is None:
        params = mlflow_run.data.params | {_STEPS: str(description.steps)}
        model = client.create_logged_model(run.experiment_id, MODEL, run.run_id, params=params)
    if model.status != LoggedModelStatus.READY:
        _send_model(client, model, folder, description, run.run_id)
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    if not is_linked:
        client.log_outputs(run.run_id, [LoggedModelOutput(model.model_id, description.steps)])
    version = None if name is None else _register(client, name, mlflow_run, model)
    return ExportedModel(run.run_id, model.model_id, version)


def _read_description(folder: Path) -> PolicyDescription:
    if not (folder / POLICY_FOLDER).is_dir():
        text = f"{folder} has no policy, because the run ended before its first checkpoint. Continue it: pgexp-resume"
        raise UserError.at("run", text)
    if not (folder / CODE_FILE).is_file():
        text = f"{folder} lacks {CODE_FILE}, the policy's code. Train the run again: pgexp-reproduce"
        raise UserError.at("run", text)
    return read_described_policy(folder / POLICY_FOLDER)[1]


def _find_model(client: MlflowClient, run: RunInfo, steps: int) -> LoggedModel | None:
    """Return the run's model of a policy with that many training steps; a resumed run has another model than before."""
    condition = f"source_run_id = '{run.run_id}' AND name = '{MODEL}' AND params.{_STEPS} = '{steps}'"
    return next(iter(client.search_logged_models([run.experiment_id], condition)), None)


def _is_linked(run: Run, model: LoggedModel) -> bool:
    outputs = run.outputs
    return model.model_id in {output.model_id for output in (outputs.model_outputs if outputs else ())}


def _send_model(
    client: MlflowClient, model: LoggedModel, folder: Path, description: PolicyDescription, run_id: str
) -> None:
    if local := local_folder(model.artifact_location):
        write_model(local, folder, description, run_id, model.model_id)
        return
    with tempfile.TemporaryDirectory() as draft:
        write_model(Path(draft, MODEL), folder, description, run_id, model.model_id)
        client.log_model_artifacts(model.model_id, str(Path(draft, MODEL)))


def write_model(path: Path, folder: Path, description: PolicyDescription, run_id: str, model_id: str) -> None:
    """Write the model of the policy in a run's folder to a path, for ``mlflow.pyfunc.load_model``.

    Files of an earlier model are replaced.
    """
    template = model_template(interface_of(description), (folder / REQUIREMENTS_FILE).read_text())
    for name, content in template.files.items():
        with replace_file(path / name) as draft:
            draft.write_bytes(content)
    policy = [file for file in (folder / POLICY_FOLDER).rglob("*") if file.is_file()]
    for file in policy:
        copy_file(file, path / "data" / POLICY_FOLDER / file.relative_to(folder / POLICY_FOLDER))
    link_file(folder / CODE_FILE, path / ARCHIVE)
    size = template.size + sum(file.stat().st_size for file in policy)
    template.metadata_for(run_id, model_id, size).save(path / "MLmodel")


def _register(client: MlflowClient, name: str, run: Run, model: LoggedModel) -> str:
    """Return the version of the registered model that this model is; create it if it is missing."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in client.search_model_versions(f"name = '{name}' AND run_id = '{run.info.run_id}'"):
        if version.source == model.artifact_location:
            return str(version.version)
    created = client.create_model_version(
        name,
        model.artifact_location,  # models:/... would be resolved in MLflow's default store
        run.info.run_id,
        {tag: run.data.tags[tag] for tag in _VERSION_TAGS if tag in run.data.tags},
        description=run.info.run_name,
        await_creation_for=0,
        model_id=model.model_id,
    )
    return str(created.version)


@dataclass(frozen=True)
class PolicyInterface:
    """Inputs and outputs of a policy."""

    observation: tuple[str, tuple[int, ...]]  # dtype and shape
    action: tuple[str, tuple[int, ...]]
    memory: tuple[str, int]  # dtype and size, 0 without a memory


@dataclass(frozen=True)
class ModelTemplate:
    """Files of a model, except the policy, its code and its metadata.

    All policies with equal interfaces and requirements share them. MLflow takes twenty times as long to write them as
    it takes to copy them.
    """

    files: Mapping[str, bytes]
    metadata: Model

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(map(len, self.files.values()))

    def metadata_for(self, run_id: str, model_id: str, size: int) -> Model:
        """Return the metadata of a run's model with that many bytes."""
        model = copy(self.metadata)
        model.run_id, model.model_id, model.model_uuid = run_id, model_id, uuid.uuid4().hex
        model.utc_time_created = str(datetime.now(UTC).replace(tzinfo=None))
        model.model_size_bytes = size
        return model


def interface_of(description: PolicyDescription) -> PolicyInterface:
    """Return the inputs and outputs of a policy."""
    return PolicyInterface(
        (description.observation_dtype, tuple(description.observation_shape)),
        (description.action_dtype, tuple(description.action_shape)),
        (description.dtype, description.memory_size),
    )


@lru_cache(maxsize=8)
def model_template(interface: PolicyInterface, requirements: str) -> ModelTemplate:
    """Return the template of models with an interface. requirements: pinned packages, one per line."""
    with tempfile.TemporaryDirectory() as draft:
        path = Path(draft, MODEL)
        empty = Path(draft, POLICY_FOLDER)
        empty.mkdir()
        save_model(
            path,
            loader_module=_LOADER,
            data_path=str(empty),
            mlflow_model=Model(artifact_path=MODEL),
            signature=_signature(interface),
            input_example=_example(interface),
            pip_requirements=requirements.split(),
        )
        metadata = Model.load(path)
        metadata.flavors[FLAVOR_NAME][CODE] = ARCHIVE  # entry of the import path; save_model accepts folders only
        (path / "MLmodel").unlink()
        return ModelTemplate({file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}, metadata)


def _signature(interface: PolicyInterface) -> ModelSignature:
    """Return MLflow's signature; a memory is an additional, named input and output."""
    dtype, size = interface.memory
    if size:
        memory = _tensor(dtype, (size,), "memory")
        inputs = [_tensor(*interface.observation, "observations"), memory]
        outputs = [_tensor(*interface.action, "actions"), memory]
    else:
        inputs, outputs = [_tensor(*interface.observation)], [_tensor(*interface.action)]
    params = ParamSchema([ParamSpec("greedy", "boolean", True), ParamSpec("seed", "long", None)])
    return ModelSignature(Schema([*inputs]), Schema([*outputs]), params)


def _tensor(dtype: str, shape: tuple[int, ...], name: str | None = None) -> TensorSpec:
    return TensorSpec(np.dtype(dtype), (-1, *shape), name)


def _example(interface: PolicyInterface) -> np.ndarray | dict[str, np.ndarray]:
    dtype, shape = interface.observation
    observation = np.zeros((1, *shape), dtype)
    memory, size = interface.memory
    return {"observations": observation, "memory": np.zeros((1, size), memory)} if size else observation
