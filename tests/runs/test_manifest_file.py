import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pgexp.runs import manifest as manifest_module
from pgexp.runs.manifest import SweepManifest, load_manifest, manifest_of, save_manifest

MakeSweep = Callable[..., SweepManifest]


def test_saved_manifest_is_loaded_unchanged(make_sweep: MakeSweep) -> None:
    manifest = make_sweep()
    back = load_manifest(manifest.folder)
    assert back == manifest
    types = {name: type(value) for name, value in back.runs[0].params.items()}
    assert types == {"lr": str, "seed": int, "gamma": float, "baseline.own": bool}


def test_manifest_can_be_moved(make_sweep: MakeSweep, tmp_path: Path) -> None:
    manifest = make_sweep()
    moved = manifest.folder.rename(tmp_path / "moved")
    assert load_manifest(moved) == replace(manifest, folder=moved)


def test_each_run_has_a_file(make_sweep: MakeSweep) -> None:
    manifest = make_sweep()
    files = [json.loads((manifest.folder_of(run) / "run.json").read_text()) for run in manifest.runs]
    assert [file["record"] for file in files] == ["record-a-0", "record-a-1", "record-b-0", "record-b-1"]
    assert files[3]["params"] == {"lr": "b", "seed": 1, "gamma": 0.5, "baseline.own": True}


def test_infinite_parameter_is_saved_by_name(make_sweep: MakeSweep) -> None:
    manifest = make_sweep(names="a", seeds=[0])
    run = replace(manifest.runs[0], params={"max_grad_norm": math.inf})
    save_manifest(replace(manifest, runs=(run,)))
    assert load_manifest(manifest.folder).runs[0].params == {"max_grad_norm": "inf"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"runs": []}, "exactly one run"),
        ({"name": 3}, "name: Input should be a valid string"),
        ({"tracking": {"uri": "u", "experiment": "e"}}, "tracking.max_points: Field required"),
    ],
)
def test_invalid_manifest_is_reported_with_the_file(
    make_sweep: MakeSweep, change: dict[str, object], problem: str
) -> None:
    manifest = make_sweep(names="a", seeds=[0])
    path = manifest.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sweep": None} | change))
    with pytest.raises(ValueError, match=rf"manifest\.json: .*{problem}"):
        load_manifest(manifest.folder)


def test_missing_manifest_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"manifest\.json: No such file"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("shared", ["folder", "record"])
def test_two_runs_must_differ(make_sweep: MakeSweep, shared: str) -> None:
    first, second, *_ = make_sweep().runs
    twin = replace(second, **{shared: getattr(first, shared)})
    with pytest.raises(ValueError, match=f"have the same {shared}"):
        replace(make_sweep(), runs=(first, twin))


def test_training_process_imports_nothing_heavy() -> None:
    modules = "pgexp.runs.manifest, pgexp.runs.run_log, pgexp.runs.provenance, pgexp.tracking.exporter"
    heavy = "{'torch', 'mlflow', 'pandas', 'pyarrow', 'sqlalchemy'}"
    code = f"import sys; import {modules}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_manifest_is_found_above_a_run(make_sweep: MakeSweep, tmp_path: Path) -> None:
    manifest = make_sweep()
    assert all(manifest_of(manifest.folder_of(run)) == manifest for run in manifest.runs)
    other = manifest.folder / "runs" / "other"
    other.mkdir()
    assert manifest_of(other) is None
    assert manifest_of(tmp_path) is None


def test_manifest_of_a_single_run_is_in_its_folder(single: SweepManifest) -> None:
    assert manifest_of(single.folder) == single


def test_manifest_is_cached_until_it_changes(make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, reads = make_sweep(), list[Path]()
    monkeypatch.setattr(manifest_module, "load_manifest", lambda folder: reads.append(folder) or load_manifest(folder))
    folders = [manifest.folder_of(run) for run in manifest.runs]
    assert [manifest_of(folder) for folder in folders] == [manifest] * 4
    assert reads == [manifest.folder]
    shorter = replace(manifest, runs=manifest.runs[:3])
    save_manifest(shorter)
    assert [manifest_of(folder) for folder in folders] == [shorter] * 3 + [None]
    assert len(reads) == 2
