"""Export of policies as MLflow models, and their registration."""

import json
import logging
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import LoggedModel
from mlflow.models import Model

from pgexp.runs import user_code
from pgexp.runs.files import write_json
from pgexp.runs.manifest import SweepManifest
from pgexp.runs.policy import write_policy
from pgexp.runs.run_log import RunLogWriter, RunState
from pgexp.schema.errors import UserError
from pgexp.tracking import models as models_module
from pgexp.tracking.client import MlflowClient, connect
from pgexp.tracking.export import SweepExport
from pgexp.tracking.models import ExportedModel, export_model
from tests.runs.test_policy_files import DESCRIPTION
from tests.tiers import tiered


class Place:
    """A store with a run, and the run's folder."""

    def __init__(self, uri: str, folder: Path) -> None:
        self.client: MlflowClient = connect(uri)
        self.folder = folder
        self.experiment = self.client.create_experiment("corridor", (folder / "artifacts").as_uri())
        tags = {"pgexp.key": "key-1", "pgexp.configuration_name": "lr=a", "pgexp.rows_synced": "3", "mine": "x"}
        self.run = self.client.create_run(self.experiment, tags=tags, run_name="lr=a seed=1").info.run_id
        self.client.log_param(self.run, "lr", 0.5)
        self.write()

    def write(self, **changes: object) -> None:
        """Write a policy into the folder, with its code."""
        write_policy(self.folder / "policy", {"bias": np.zeros(2)}, DESCRIPTION | changes)
        user_code.write_code(user_code.CodeArchive(b"a zip file", ("mlflow==3.4.0", "torch==2.6.0")), self.folder)

    def log(self, name: str | None = None) -> ExportedModel:
        return export_model(self.client, self.client.get_run(self.run).info, self.folder, name)

    def models(self) -> list[LoggedModel]:
        return [*self.client.search_logged_models([self.experiment])]

    def files(self) -> Path:
        """Return the folder of the files of the only model."""
        (model,) = self.models()
        return Path(model.artifact_location.removeprefix("file://"))


@pytest.fixture
def place(uri: str, tmp_path: Path) -> Place:
    return Place(uri, tmp_path / "run")


def test_model_has_the_policy_and_its_code(place: Place) -> None:
    place.log()
    (model,) = place.models()
    assert (model.name, model.source_run_id, model.status) == ("model", place.run, "READY")
    assert model.params == {"lr": "0.5", "steps": "200"}
    outputs = place.client.get_run(place.run).outputs.model_outputs
    assert [(output.model_id, output.step) for output in outputs] == [(model.model_id, 200)]
    files = place.files()
    for name in ("policy.json", "policy.safetensors"):
        assert (files / "data" / "policy" / name).read_bytes() == (place.folder / "policy" / name).read_bytes()
    assert (files / "code.zip").read_bytes() == b"a zip file"
    assert (files / "requirements.txt").read_text().split() == ["mlflow==3.4.0", "torch==2.6.0"]
    metadata = Model.load(files)
    assert metadata.flavors["python_function"]["loader_module"] == "pgexp.execution.serving"
    assert metadata.flavors["python_function"]["code"] == "code.zip"
    assert metadata.run_id == place.run


def test_signature(place: Place) -> None:
    place.log()
    signature = Model.load(place.files()).signature
    assert str(signature.inputs) == "[Tensor('float32', (-1, 4))]"
    assert str(signature.outputs) == "[Tensor('int64', (-1,))]"
    assert [(param.name, param.default) for param in signature.params] == [("greedy", True), ("seed", None)]
    assert Model.load(place.files()).load_input_example(str(place.files())).tolist() == [[0.0] * 4]


def test_signature_with_a_memory(place: Place) -> None:
    place.write(memory_size=3, action_shape=[2], action_dtype="float32", action_space={
        "kind": "box", "size": 2, "counts": [], "low": [None, 0], "high": [1, 1],
    })  # fmt: skip
    place.log()
    signature = Model.load(place.files()).signature
    memory = "'memory': Tensor('float32', (-1, 3))"
    assert str(signature.inputs) == f"['observations': Tensor('float32', (-1, 4)), {memory}]"
    assert str(signature.outputs) == f"['actions': Tensor('float32', (-1, 2)), {memory}]"


def test_repeated_export_changes_nothing(place: Place) -> None:
    exported = {place.log("pole") for _ in range(3)}
    (model,) = place.models()
    assert exported == {ExportedModel(place.run, model.model_id, "1")}
    assert len(place.client.get_run(place.run).outputs.model_outputs) == 1
    (version,) = place.client.search_model_versions("name = 'pole'")
    assert version.source == model.artifact_location


STEPS = {
    "create_logged_model": MlflowClient,
    "write_model": models_module,
    "finalize_logged_model": MlflowClient,
    "log_outputs": MlflowClient,
    "create_model_version": MlflowClient,
}


@pytest.mark.parametrize(
    ("step", "before"),
    tiered(product(STEPS, [True, False]), lambda case: case in (("write_model", True), ("log_outputs", False))),
)
def test_export_can_be_repeated_after_any_error(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    owner = STEPS[step]
    known = getattr(owner, step)

    def lost(*arguments: object, **options: object) -> None:
        if not before:
            known(*arguments, **options)
        raise OSError("the store is lost")

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, lost)
        with pytest.raises(OSError, match="lost"):
            place.log("pole")
    place.log("pole")
    (model,) = place.models()
    assert model.status == "READY"
    assert (place.files() / "MLmodel").is_file()
    assert len(place.client.get_run(place.run).outputs.model_outputs) == 1
    assert len(place.client.search_model_versions("name = 'pole'")) == 1


def test_models_with_one_template_differ(place: Place) -> None:
    """MLflow writes their common files once."""
    place.log()
    first, run = place.files(), place.run
    place.run = place.client.create_run(place.experiment).info.run_id
    place.write(steps=400)
    place.log()
    (second,) = (
        Path(model.artifact_location.removeprefix("file://")) for model in place.models() if model.source_run_id != run
    )
    metadatas = [Model.load(files) for files in (first, second)]
    assert [metadata.run_id for metadata in metadatas] == [run, place.run]
    assert [metadata.model_id for metadata in metadatas] == [files.parent.name for files in (first, second)]
    assert metadatas[0].model_uuid != metadatas[1].model_uuid
    assert json.loads((second / "data/policy/policy.json").read_text())["steps"] == 400


def test_resumed_run_has_another_model(place: Place) -> None:
    place.log("pole")
    place.write(steps=400)
    place.log("pole")
    assert sorted(model.params["steps"] for model in place.models()) == ["200", "400"]
    assert sorted(output.step for output in place.client.get_run(place.run).outputs.model_outputs) == [200, 400]
    assert len(place.client.search_model_versions("name = 'pole'")) == 2


def test_tags_of_a_version(place: Place) -> None:
    place.log("pole")
    (version,) = place.client.search_model_versions("name = 'pole'")
    assert version.run_id == place.run
    assert version.description == "lr=a seed=1"
    assert version.tags == {"pgexp.key": "key-1", "pgexp.configuration_name": "lr=a"}


def test_runs_share_a_registered_model(place: Place) -> None:
    place.log("pole")
    place.run = place.client.create_run(place.experiment).info.run_id
    place.log("pole")
    assert sorted(version.version for version in place.client.search_model_versions("name = 'pole'")) == [1, 2]


@pytest.mark.parametrize(
    ("missing", "problem"),
    [("policy", "has no policy.* pgexp-resume"), ("provenance", "lacks provenance/code.zip.* pgexp-reproduce")],
)
def test_missing_policy_or_code_is_refused(place: Place, missing: str, problem: str) -> None:
    shutil.rmtree(place.folder / missing)
    with pytest.raises(UserError, match=problem):
        place.log()
    assert place.models() == []


def test_damaged_policy_is_refused(place: Place) -> None:
    (place.folder / "policy" / "policy.safetensors").write_bytes(b"x")
    with pytest.raises(UserError, match=r"policy\.safetensors: damaged"):
        place.log()
    assert place.models() == []


def end_and_export(
    manifest: SweepManifest, status: RunState, registry: str | None, damaged: bool = False
) -> list[LoggedModel]:
    """End a run that has a policy, export it twice, and return its models in MLflow."""
    folder = manifest.folder_of(manifest.runs[0])
    write_policy(folder / "policy", {"bias": np.zeros(2)}, DESCRIPTION)
    user_code.write_code(user_code.CodeArchive(b"a zip file", ("mlflow==3.4.0",)), folder)
    if damaged:
        (folder / "policy" / "policy.safetensors").write_bytes(b"x")
    write_json(folder / "config.json", {"registry": {"name": registry}})
    RunLogWriter(folder / "rows.jsonl").end(status)
    for _ in range(2):
        export = SweepExport(manifest)
        export.open()
        for _ in export.export_rows():
            pass
    client = connect(manifest.tracking.uri)
    return [*client.search_logged_models([client.get_experiment_by_name("corridor").experiment_id])]


@pytest.mark.parametrize(
    ("status", "registry", "models"),
    [("FINISHED", None, 0), ("FINISHED", "pole", 1), ("KILLED", "pole", 0), ("FAILED", "pole", 0)],
)
def test_finished_run_is_registered(single: SweepManifest, status: RunState, registry: str | None, models: int) -> None:
    found = end_and_export(single, status, registry)
    assert len(found) == models
    assert len(connect(single.tracking.uri).search_model_versions("name = 'pole'")) == models
    assert all(model.params["lr"] == "a" for model in found)


def test_run_is_exported_if_registration_fails(single: SweepManifest, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert end_and_export(single, "FINISHED", "pole", damaged=True) == []
    assert "policy.safetensors: damaged" in caplog.text
    client = connect(single.tracking.uri)
    (run,) = client.search_runs([client.get_experiment_by_name("corridor").experiment_id])
    assert run.info.status == "FINISHED"
