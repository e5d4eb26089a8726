import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest

from pgexp.comparison.report.origins import origins
from pgexp.schema.names import PROVENANCE_FOLDER
from tests.comparison.report.made import SCORES, run_rows

PACKAGES, LOCK = "901311df5b70", "0c030586945f"  # printf 'numpy==2\\ntorch==2.13' | sha256sum; printf lock | sha256sum


def record(folder: Path, command: str, **git: object) -> None:
    """Write down where a run in a folder comes from, as training does."""
    told = {"code": "c0de" * 16, "pgexp": True, "repository": "/r", "commit": "f" * 40, "dirty": False, "untracked": {}}
    machine = {"cpu": "a processor", "cores": 2, "platform": "Linux", "python": "3.11"}
    files = {
        "git.json": json.dumps(told | git),
        "packages.txt": "numpy==2\ntorch==2.13\n",
        "machine.json": json.dumps(machine),
        "origin.json": json.dumps({"command": command, "started": "2026-01-02T03:04:05+00:00", "lock": True}),
        "requirements.lock": "lock",
    }
    (folder / PROVENANCE_FOLDER).mkdir(parents=True)
    for name, text in files.items():
        (folder / PROVENANCE_FOLDER / name).write_text(text)


def test_the_origin_is_what_a_run_recorded(tmp_path: Path) -> None:
    record(tmp_path, "pgexp -m seed='range(3)'")
    (found,) = origins(pd.DataFrame(run_rows(SCORES, artifacts=tmp_path.as_uri())), "")
    assert found.command == "pgexp -m seed='range(3)'"
    assert (found.runs, found.run_id, found.started) == (6, "baseline=none/CartPole-v1/0", "2026-01-02T03:04:05+00:00")
    assert (found.code, found.commit, found.dirty) == ("c0de" * 3, "f" * 40, False)
    assert (found.packages, found.lock, found.versions) == (PACKAGES, LOCK, "torch 2.13, numpy 2")
    assert found.machine == "a processor, 2 cores, Linux, Python 3.11"


def test_sweeps_and_states_of_the_code_have_origins_of_their_own(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        record(tmp_path / name, f"command {name}", commit=None)
    rows = [
        *run_rows({"x": (1.0,)}, artifacts=str(tmp_path / "a")),
        *run_rows({"x": (1.0, 2.0)}, artifacts=str(tmp_path / "b"), code="beef" * 16),
        *run_rows({"x": (1.0, 2.0, 3.0)}, artifacts=str(tmp_path / "c"), sweep=None),
    ]
    found = origins(pd.DataFrame(rows), "")
    assert [(origin.command, origin.runs) for origin in found] == [("command c", 3), ("command b", 2), ("command a", 1)]
    assert found[0].commit == ""


def test_a_run_without_a_record_is_passed_over_for_the_next(tmp_path: Path) -> None:
    record(tmp_path, "command")
    rows = run_rows({"x": (1.0, 2.0)}, artifacts=str(tmp_path))
    rows[0]["artifacts"] = str(tmp_path / "lost")
    assert [origin.command for origin in origins(pd.DataFrame(rows), "")] == ["command"]
    assert origins(pd.DataFrame(rows[:1]), "") == []


class Client:
    """A store that has what stands in a folder as artifacts of every run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def download_artifacts(self, run_id: str, path: str, target: str) -> None:
        assert run_id == "x/CartPole-v1/0"
        shutil.copytree(self._folder / path, Path(target) / path)


def test_a_record_on_another_machine_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, "far away")
    monkeypatch.setattr("pgexp.comparison.report.origins.opened", lambda _: nullcontext(Client(tmp_path)))
    rows = run_rows({"x": (1.0,)}, artifacts="mlflow-artifacts:/1")
    assert [origin.command for origin in origins(pd.DataFrame(rows), "http://there")] == ["far away"]
