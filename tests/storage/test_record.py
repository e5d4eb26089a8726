import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pgexp.storage import record as module
from pgexp.storage.record import Record, read, record_of, write

MakeRecord = Callable[..., Record]


def test_a_record_reads_back_as_it_was(make_record: MakeRecord) -> None:
    record = make_record()
    back = read(record.folder)
    assert back == record
    types = {name: type(value) for name, value in back.runs[0].params.items()}
    assert types == {"lr": str, "seed": int, "gamma": float, "baseline.own": bool}


def test_a_record_is_where_it_stands(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record()
    moved = record.folder.rename(tmp_path / "moved")
    assert read(moved) == replace(record, folder=moved)


def test_each_run_has_its_own_file(make_record: MakeRecord) -> None:
    record = make_record()
    files = [json.loads((record.folder_of(run) / "run.json").read_text()) for run in record.runs]
    assert [file["record"] for file in files] == ["record-a-0", "record-a-1", "record-b-0", "record-b-1"]
    assert files[3]["params"] == {"lr": "b", "seed": 1, "gamma": 0.5, "baseline.own": True}


def test_an_infinite_parameter_is_recorded_by_name(make_record: MakeRecord) -> None:
    record = make_record(names="a", seeds=[0])
    run = replace(record.runs[0], params={"max_grad_norm": math.inf})
    write(replace(record, runs=(run,)))
    assert read(record.folder).runs[0].params == {"max_grad_norm": "inf"}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"runs": []}, "exactly one run, not 0"),
        ({"name": 3}, "name: Input should be a valid string"),
        ({"tracking": {"uri": "u", "experiment": "e"}}, "tracking.points: Field required"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(make_record: MakeRecord, change: dict[str, object], wrong: str) -> None:
    record = make_record(names="a", seeds=[0])
    path = record.folder / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sweep": None} | change))
    with pytest.raises(ValueError, match=rf"record\.json: .*{wrong}"):
        read(record.folder)


def test_a_folder_without_a_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"record\.json: No such file"):
        read(tmp_path)


@pytest.mark.parametrize("shared", ["folder", "record"])
def test_two_runs_are_told_apart(make_record: MakeRecord, shared: str) -> None:
    first, second, *_ = make_record().runs
    twin = replace(second, **{shared: getattr(first, shared)})
    with pytest.raises(ValueError, match=f"share a {shared}"):
        replace(make_record(), runs=(first, twin))


def test_the_training_process_imports_nothing_heavy() -> None:
    modules = "record, spool, provenance, sink"
    heavy = "{'torch', 'mlflow', 'pandas', 'pyarrow', 'sqlalchemy'}"
    code = f"import sys; from pgexp.storage import {modules}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_record_of_a_run_stands_in_a_folder_above_it(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record()
    assert all(record_of(record.folder_of(run)) == record for run in record.runs)
    stranger = record.folder / "runs" / "stranger"
    stranger.mkdir()
    assert record_of(stranger) is None
    assert record_of(tmp_path) is None


def test_a_single_run_s_record_stands_in_its_own_folder(single: Record) -> None:
    assert record_of(single.folder) == single


def test_a_long_record_is_read_once_for_all_of_its_runs_and_anew_once_it_has_changed(
    make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, reads = make_record(), list[Path]()
    monkeypatch.setattr(module, "read", lambda folder: reads.append(folder) or read(folder))
    folders = [record.folder_of(run) for run in record.runs]
    assert [record_of(folder) for folder in folders] == [record] * 4
    assert reads == [record.folder]
    shorter = replace(record, runs=record.runs[:3])
    write(shorter)
    assert [record_of(folder) for folder in folders] == [shorter] * 3 + [None]
    assert len(reads) == 2
