"""A run's final policy as an MLflow model, which brings along the code that it was trained with.

It is a model of the flavour ``python_function``; what it takes and returns is told by `pgexp.execution.serving`. Beside
its own code it needs the packages that its requirements.txt pins.
"""

import logging
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model, ModelSignature
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

from pgexp.schema.errors import ConfigError
from pgexp.schema.names import (
    CODE_FILE,
    CONFIG_FILE,
    MODEL,
    POLICY_FOLDER,
    REQUIREMENTS_FILE,
    TAG_CONFIGURATION,
    TAG_CONFIGURATION_NAME,
    TAG_KEY,
    TAG_RECORD,
    TAG_SWEEP,
)
from pgexp.storage.files import read_json
from pgexp.storage.mlflow_client import MlflowClient, MlflowException, Run
from pgexp.storage.policy_description import PolicyDescription, read_described

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*Any type hint is inferred")  # MLflow's own hints
    from mlflow.pyfunc import CODE, FLAVOR_NAME, save_model

_LOADER: Final = "pgexp.execution.serving"
_ARCHIVE: Final = "code.zip"  # one file: a store is sent each of them by itself
_STEPS: Final = "steps"
_WHOSE: Final[tuple[str, ...]] = (
    TAG_KEY,
    TAG_CONFIGURATION,
    TAG_CONFIGURATION_NAME,
    TAG_SWEEP,
    TAG_RECORD,
)  # a version's tags


def log_model(client: MlflowClient, run_id: str, folder: Path) -> None:
    """Log the policy in a run's folder as the run's model and, where its config says so, register it.

    Made again, as after an interruption, it goes on with what stands: a policy has one model, and one version of it. A
    folder without a policy, or without its code, has no model.
    """
    if not ((folder / POLICY_FOLDER).is_dir() and (folder / CODE_FILE).is_file()):
        return
    try:
        _, described = read_described(folder / POLICY_FOLDER)
        registry = read_json(folder / CONFIG_FILE)["registry"]["name"]
    except (ConfigError, ValueError, LookupError) as error:  # the rest of the run is worth recording
        logging.warning("No model of %s: %s", run_id, error)
        return
    run = client.get_run(run_id)
    model = _standing(client, run, described.steps)
    if model.status != LoggedModelStatus.READY:
        with tempfile.TemporaryDirectory() as draft:
            write_model(Path(draft, MODEL), folder, described, run_id, model.model_id)
            client.log_model_artifacts(model.model_id, str(Path(draft, MODEL)))
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    linked = run.outputs.model_outputs if run.outputs else []
    if model.model_id not in {output.model_id for output in linked}:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, described.steps)])
    if registry is not None:
        _register(client, registry, run, model)


def write_model(path: Path, folder: Path, described: PolicyDescription, run_id: str, model_id: str) -> None:
    """Write the model of the policy in a run's folder to a path, as ``mlflow.pyfunc.load_model`` reads it."""
    save_model(
        path,
        loader_module=_LOADER,
        data_path=str(folder / POLICY_FOLDER),
        mlflow_model=Model(artifact_path=MODEL, run_id=run_id, model_id=model_id),
        signature=_signature(described),
        input_example=_example(described),
        pip_requirements=(folder / REQUIREMENTS_FILE).read_text().split(),
    )
    shutil.copy(folder / CODE_FILE, path / _ARCHIVE)
    about = Model.load(path)
    about.flavors[FLAVOR_NAME][CODE] = _ARCHIVE  # what is imported from first; save_model knows folders
    about.save(path / "MLmodel")


def _standing(client: MlflowClient, run: Run, steps: int) -> LoggedModel:
    """Return the run's model of a policy trained for so many steps: a run that went on has another than before."""
    ours = f"source_run_id = '{run.info.run_id}' AND name = '{MODEL}' AND params.{_STEPS} = '{steps}'"
    found = client.search_logged_models([run.info.experiment_id], ours)
    if found:
        return found[0]
    params = {**run.data.params, _STEPS: str(steps)}
    return client.create_logged_model(run.info.experiment_id, MODEL, run.info.run_id, params=params)


def _register(client: MlflowClient, name: str, run: Run, model: LoggedModel) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    versions = client.search_model_versions(f"name = '{name}' AND run_id = '{run.info.run_id}'")
    if model.artifact_location not in {version.source for version in versions}:
        tags = {tag: run.data.tags[tag] for tag in _WHOSE if tag in run.data.tags}
        client.create_model_version(
            name,
            model.artifact_location,  # models:/... would be looked for in MLflow's default store
            run.info.run_id,
            tags,
            description=run.info.run_name,
            await_creation_for=0,
            model_id=model.model_id,
        )


def _signature(described: PolicyDescription) -> ModelSignature:
    """Return what the model takes and returns; a policy with a memory has it beside both, by name."""
    observations = described.observation_dtype, described.observation_shape
    actions = described.action_dtype, described.action_shape
    if described.memory_size:
        memory = _tensor(described.dtype, [described.memory_size], "memory")
        inputs, outputs = [_tensor(*observations, "observations"), memory], [_tensor(*actions, "actions"), memory]
    else:
        inputs, outputs = [_tensor(*observations)], [_tensor(*actions)]
    params = ParamSchema([ParamSpec("greedy", "boolean", True), ParamSpec("seed", "long", None)])
    return ModelSignature(Schema([*inputs]), Schema([*outputs]), params)


def _tensor(dtype: str, shape: list[int], name: str | None = None) -> TensorSpec:
    return TensorSpec(np.dtype(dtype), (-1, *shape), name)


def _example(described: PolicyDescription) -> np.ndarray | dict[str, np.ndarray]:
    observation = np.zeros((1, *described.observation_shape), described.observation_dtype)
    if not described.memory_size:
        return observation
    return {"observations": observation, "memory": np.zeros((1, described.memory_size), described.dtype)}
