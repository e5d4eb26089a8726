"""A run's final policy as an MLflow model, which brings along the code that it was trained with.

It is a model of the flavour ``python_function``; what it takes and returns is told by `pgexp.execution.serving`. Beside
its own code it needs the packages that its requirements.txt pins.
"""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus

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
from pgexp.storage.files import read_json, replacing
from pgexp.storage.local_artifacts import local_folder, place, share
from pgexp.storage.mlflow_client import MlflowClient, MlflowException, RunInfo, param_texts
from pgexp.storage.model_form import ARCHIVE, interface_of, model_form
from pgexp.storage.policy_description import PolicyDescription, read_described

_STEPS: Final = "steps"
_WHOSE: Final[tuple[str, ...]] = (
    TAG_KEY,
    TAG_CONFIGURATION,
    TAG_CONFIGURATION_NAME,
    TAG_SWEEP,
    TAG_RECORD,
)  # a version's tags


def log_model(client: MlflowClient, run: RunInfo, params: Mapping[str, object], folder: Path) -> None:
    """Log the policy in the folder of a run, of those params, as its model and, where its config says so, register it.

    Made again, as after an interruption, it goes on with what stands: a policy has one model, and one version of it. A
    folder without a policy, or without its code, has no model.
    """
    if not ((folder / POLICY_FOLDER).is_dir() and (folder / CODE_FILE).is_file()):
        return
    try:
        _, described = read_described(folder / POLICY_FOLDER)
        registry = read_json(folder / CONFIG_FILE)["registry"]["name"]
    except (ConfigError, ValueError, LookupError) as error:  # the rest of the run is worth recording
        logging.warning("No model of %s: %s", run.run_id, error)
        return
    model = _standing(client, run.run_id, run.experiment_id, described.steps)
    linked = model is not None and _is_linked(client, run.run_id, model)
    if model is None:
        named = param_texts(params) | {_STEPS: str(described.steps)}
        model = client.create_logged_model(run.experiment_id, MODEL, run.run_id, params=named)
    if model.status != LoggedModelStatus.READY:
        _send_model(client, model, folder, described, run.run_id)
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    if not linked:
        client.log_outputs(run.run_id, [LoggedModelOutput(model.model_id, described.steps)])
    if registry is not None:
        _register(client, registry, run.run_id, model)


def _send_model(
    client: MlflowClient, model: LoggedModel, folder: Path, described: PolicyDescription, run_id: str
) -> None:
    if local := local_folder(model.artifact_location):
        write_model(local, folder, described, run_id, model.model_id)
        return
    with tempfile.TemporaryDirectory() as draft:
        write_model(Path(draft, MODEL), folder, described, run_id, model.model_id)
        client.log_model_artifacts(model.model_id, str(Path(draft, MODEL)))


def write_model(path: Path, folder: Path, described: PolicyDescription, run_id: str, model_id: str) -> None:
    """Write the model of the policy in a run's folder to a path, as ``mlflow.pyfunc.load_model`` reads it.

    What was there of a model before is replaced.
    """
    form = model_form(interface_of(described), (folder / REQUIREMENTS_FILE).read_text())
    for name, content in form.files.items():
        with replacing(path / name) as draft:
            draft.write_bytes(content)
    policy = [file for file in (folder / POLICY_FOLDER).rglob("*") if file.is_file()]
    for file in policy:
        place(file, path / "data" / POLICY_FOLDER / file.relative_to(folder / POLICY_FOLDER))
    share(folder / CODE_FILE, path / ARCHIVE)
    size = form.size + sum(file.stat().st_size for file in policy)
    form.about(run_id, model_id, size).save(path / "MLmodel")


def _standing(client: MlflowClient, run_id: str, experiment: str, steps: int) -> LoggedModel | None:
    """Return the run's model of a policy trained for so many steps: a run that went on has another than before."""
    ours = f"source_run_id = '{run_id}' AND name = '{MODEL}' AND params.{_STEPS} = '{steps}'"
    return next(iter(client.search_logged_models([experiment], ours)), None)


def _is_linked(client: MlflowClient, run_id: str, model: LoggedModel) -> bool:
    outputs = client.get_run(run_id).outputs
    return model.model_id in {output.model_id for output in (outputs.model_outputs if outputs else ())}


def _register(client: MlflowClient, name: str, run_id: str, model: LoggedModel) -> None:
    run = client.get_run(run_id)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    versions = client.search_model_versions(f"name = '{name}' AND run_id = '{run_id}'")
    if model.artifact_location not in {version.source for version in versions}:
        tags = {tag: run.data.tags[tag] for tag in _WHOSE if tag in run.data.tags}
        client.create_model_version(
            name,
            model.artifact_location,  # models:/... would be looked for in MLflow's default store
            run_id,
            tags,
            description=run.info.run_name,
            await_creation_for=0,
            model_id=model.model_id,
        )
