"""A run's model in MLflow: one a policy, however often it is logged; registered where the config says so."""

import json
import logging
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import LoggedModel
from mlflow.models import Model

from pgexp.storage import code, mlflow_model
from pgexp.storage.files import write_json
from pgexp.storage.mlflow_client import MlflowClient, connect
from pgexp.storage.mlflow_model import log_model
from pgexp.storage.mlflow_sink import MlflowSink
from pgexp.storage.policy import write_policy
from pgexp.storage.record import Record
from pgexp.storage.spool import SpoolWriter
from tests.storage.test_policy_description import DESCRIPTION
from tests.tiers import tiered


class Place:
    """A store with a run, and the run's folder."""

    def __init__(self, uri: str, folder: Path) -> None:
        self.client: MlflowClient = connect(uri)
        self.folder = folder
        self.experiment = self.client.create_experiment("corridor", (folder / "artifacts").as_uri())
        tags = {"pgexp.key": "key-1", "pgexp.configuration_name": "lr=a", "pgexp.drained": "3", "mine": "x"}
        self.run = self.client.create_run(self.experiment, tags=tags, run_name="lr=a seed=1").info.run_id
        self.keep()

    def keep(self, registry: str | None = None, **described: object) -> None:
        """Write a policy into the folder, with its code and the part of the config that names a registered model."""
        write_policy(self.folder / "policy", {"bias": np.zeros(2)}, DESCRIPTION | described)
        code.write(code.Code(b"a zip file", ("mlflow==3.4.0", "torch==2.6.0")), self.folder)
        write_json(self.folder / "config.json", {"registry": {"name": registry}})

    def log(self) -> None:
        log_model(self.client, self.client.get_run(self.run).info, {"lr": 0.5}, self.folder)

    def models(self) -> list[LoggedModel]:
        return [*self.client.search_logged_models([self.experiment])]

    def files(self) -> Path:
        """Return the folder of the files of the one model there is."""
        (model,) = self.models()
        return Path(model.artifact_location.removeprefix("file://"))


@pytest.fixture
def place(uri: str, tmp_path: Path) -> Place:
    return Place(uri, tmp_path / "run")


def test_a_model_stands_with_its_run_and_holds_the_policy_and_its_code(place: Place) -> None:
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
    about = Model.load(files)
    assert about.flavors["python_function"]["loader_module"] == "pgexp.execution.serving"
    assert about.flavors["python_function"]["code"] == "code.zip"
    assert about.run_id == place.run


def test_it_says_what_it_takes_and_returns(place: Place) -> None:
    place.log()
    signature = Model.load(place.files()).signature
    assert str(signature.inputs) == "[Tensor('float32', (-1, 4))]"
    assert str(signature.outputs) == "[Tensor('int64', (-1,))]"
    assert [(param.name, param.default) for param in signature.params] == [("greedy", True), ("seed", None)]
    assert Model.load(place.files()).load_input_example(str(place.files())).tolist() == [[0.0] * 4]


def test_a_policy_with_a_memory_names_it_on_both_sides(place: Place) -> None:
    place.keep(memory_size=3, action_shape=[2], action_dtype="float32", action_space={
        "kind": "box", "size": 2, "counts": [], "low": [None, 0], "high": [1, 1],
    })  # fmt: skip
    place.log()
    signature = Model.load(place.files()).signature
    memory = "'memory': Tensor('float32', (-1, 3))"
    assert str(signature.inputs) == f"['observations': Tensor('float32', (-1, 4)), {memory}]"
    assert str(signature.outputs) == f"['actions': Tensor('float32', (-1, 2)), {memory}]"


def test_logged_again_it_is_the_same(place: Place) -> None:
    place.keep(registry="pole")
    for _ in range(3):
        place.log()
    (model,) = place.models()
    assert len(place.client.get_run(place.run).outputs.model_outputs) == 1
    (version,) = place.client.search_model_versions("name = 'pole'")
    assert version.source == model.artifact_location


STEPS = {
    "create_logged_model": MlflowClient,
    "write_model": mlflow_model,
    "finalize_logged_model": MlflowClient,
    "log_outputs": MlflowClient,
    "create_model_version": MlflowClient,
}


@pytest.mark.parametrize(
    ("step", "before"),
    tiered(product(STEPS, [True, False]), lambda case: case in (("write_model", True), ("log_outputs", False))),
)
def test_a_store_lost_at_any_step_leaves_one_model_once_it_is_back(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    place.keep(registry="pole")
    owner = STEPS[step]
    known = getattr(owner, step)

    def lost(*arguments: object, **named: object) -> None:
        if not before:
            known(*arguments, **named)
        raise OSError("the store is lost")

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, lost)
        with pytest.raises(OSError, match="lost"):
            place.log()
    place.log()
    (model,) = place.models()
    assert model.status == "READY"
    assert (place.files() / "MLmodel").is_file()
    assert len(place.client.get_run(place.run).outputs.model_outputs) == 1
    assert len(place.client.search_model_versions("name = 'pole'")) == 1


def test_models_of_one_form_are_told_apart(place: Place) -> None:
    """MLflow writes what they share once."""
    place.log()
    first, run = place.files(), place.run
    place.run = place.client.create_run(place.experiment).info.run_id
    place.keep(steps=400)
    place.log()
    (second,) = (
        Path(model.artifact_location.removeprefix("file://")) for model in place.models() if model.source_run_id != run
    )
    abouts = [Model.load(files) for files in (first, second)]
    assert [about.run_id for about in abouts] == [run, place.run]
    assert [about.model_id for about in abouts] == [files.parent.name for files in (first, second)]
    assert abouts[0].model_uuid != abouts[1].model_uuid
    assert json.loads((second / "data/policy/policy.json").read_text())["steps"] == 400


def test_a_run_that_went_on_has_another_model(place: Place) -> None:
    place.keep(registry="pole")
    place.log()
    place.keep(registry="pole", steps=400)
    place.log()
    assert sorted(model.params["steps"] for model in place.models()) == ["200", "400"]
    assert sorted(output.step for output in place.client.get_run(place.run).outputs.model_outputs) == [200, 400]
    assert len(place.client.search_model_versions("name = 'pole'")) == 2


def test_a_version_says_whose_it_is(place: Place) -> None:
    place.keep(registry="pole")
    place.log()
    (version,) = place.client.search_model_versions("name = 'pole'")
    assert version.run_id == place.run
    assert version.description == "lr=a seed=1"
    assert version.tags == {"pgexp.key": "key-1", "pgexp.configuration_name": "lr=a"}


def test_runs_share_a_registered_model(place: Place) -> None:
    place.keep(registry="pole")
    place.log()
    place.run = place.client.create_run(place.experiment).info.run_id
    place.log()
    assert sorted(version.version for version in place.client.search_model_versions("name = 'pole'")) == [1, 2]


@pytest.mark.parametrize("missing", ["policy", "provenance"])
def test_without_a_policy_or_its_code_there_is_no_model(place: Place, missing: str) -> None:
    shutil.rmtree(place.folder / missing)
    place.log()
    assert place.models() == []


def test_a_damaged_policy_is_told_and_holds_up_nothing(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    (place.folder / "policy" / "policy.safetensors").write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        place.log()
    assert place.models() == []
    assert "policy.safetensors: damaged" in caplog.text


@pytest.mark.parametrize(("status", "models"), [("FINISHED", 1), ("KILLED", 0), ("FAILED", 0)])
def test_the_sink_logs_the_model_of_a_run_that_finished(single: Record, status: str, models: int) -> None:
    folder = single.folder_of(single.runs[0])
    write_policy(folder / "policy", {"bias": np.zeros(2)}, DESCRIPTION)
    code.write(code.Code(b"a zip file", ("mlflow==3.4.0",)), folder)
    write_json(folder / "config.json", {"registry": {"name": None}})
    SpoolWriter(folder / "rows.jsonl").end(status)
    for _ in range(2):
        sink = MlflowSink(single)
        sink.open()
        for _ in sink.drain():
            pass
    client = connect(single.tracking.uri)
    experiment = client.get_experiment_by_name("corridor").experiment_id
    assert len(client.search_logged_models([experiment])) == models
