"""Damaged run folders: readers return valid objects, or report the damage."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgexp.runs.checkpoint import read_checkpoint, write_checkpoint
from pgexp.runs.manifest import SweepManifest, Tracking, load_manifest, read_config, save_manifest, write_config
from pgexp.runs.metric_tables import read_metrics, write_tables
from pgexp.runs.policy import read_policy, write_policy
from pgexp.runs.run_log import End, Resumed, Row, RunLogReader, RunLogWriter, RunState
from pgexp.schema import names
from pgexp.schema.config import RunConfig
from pgexp.schema.errors import UserError
from pgexp.tracking.locate import locate_run
from tests.conftest import Compose
from tests.fuzz.damage import damages
from tests.fuzz.outcomes import fuzzed
from tests.manifests import run_entry

FILES = (names.MANIFEST_FILE, names.CONFIG_FILE, names.ROWS_FILE, names.METRICS_FILE, "policy/policy.safetensors",
         "policy/policy.json", "checkpoint/last.safetensors")  # fmt: skip


def _found(folder: Path) -> Path:
    with locate_run(str(folder), "sqlite:///absent.db") as found:
        return found.folder


# Readers, and functions that check their results.
READERS: tuple[tuple[Callable[[Path], Any], Callable[[Any], bool]], ...] = (
    (
        load_manifest,
        lambda found: isinstance(found, SweepManifest) and all(_inside(found, run.folder) for run in found.runs),
    ),
    (read_config, lambda found: isinstance(found, RunConfig)),
    (_found, lambda found: isinstance(found, Path)),
    (
        lambda folder: RunLogReader(folder / names.ROWS_FILE).read(),
        lambda found: all(isinstance(item, Row | End | Resumed) for item in found),
    ),
    (
        lambda folder: read_policy(folder / names.POLICY_FOLDER),
        lambda found: all(isinstance(tensor, np.ndarray) for tensor in found[0].values()),
    ),
    (
        lambda folder: read_checkpoint(folder / "checkpoint" / "last.safetensors"),
        lambda found: found["steps"] == 5 and found["weights"].tolist() == [[1.0, 2.0]],
    ),
    (lambda folder: read_metrics(folder / names.METRICS_FILE), lambda found: "steps" in found.column_names),
)


def _inside(record: SweepManifest, name: str) -> bool:
    return Path(record.folder, name).resolve().is_relative_to(record.folder.resolve())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, configured: Compose) -> Path:
    """A complete run folder."""
    folder = tmp_path_factory.mktemp("run")
    tracking = Tracking("sqlite:///absent.db", "corridor", max_points=2)
    save_manifest(SweepManifest(folder, None, "single", "pgexp seed=7", tracking, (run_entry("a", 7, "."),), {}))
    write_config(configured("baseline=value", "+env.kwargs.sutton_barto_reward=true"), folder)
    log = RunLogWriter(folder / names.ROWS_FILE)
    for steps in (8, 16):
        log.append(Row(steps, steps / 16, 1_700_000_000_000, {"train/return_mean": 1.5, "timing/x": float("nan")}))
    log.end(RunState.FINISHED, complete=True)
    write_tables(folder)
    write_policy(folder / names.POLICY_FOLDER, {"w": np.ones((2, 3), np.float32)}, {"env": {"id": "CartPole-v1"}})
    state = {"steps": 5, "weights": torch.tensor([[1.0, 2.0]])}
    write_checkpoint(folder / "checkpoint" / "last.safetensors", state)
    return folder


@contextmanager
def copied(whole: Path, place: Path) -> Iterator[Path]:
    folder = copytree(whole, place / "copy")
    try:
        yield folder
    finally:
        rmtree(folder)


@fuzzed(0.5)
@given(data=st.data())
def test_a_damaged_run_folder_is_read_or_refused(data: st.DataObject, whole: Path, tmp_path: Path) -> None:
    with copied(whole, tmp_path) as folder:
        path = folder / data.draw(st.sampled_from(FILES))
        data.draw(damages(path))(path)
        for reader, is_valid in READERS:
            with reported(folder):
                assert is_valid(reader(folder))


@contextmanager
def reported(folder: Path) -> Iterator[None]:
    """Accept an error that names one of the folder's files, or a key."""
    try:
        yield
    except UserError as error:
        messages = [str(problem) for problem in error.problems]
    except (ValueError, OSError) as error:
        messages = [str(error) if str(folder) in str(error) else ""]
    else:
        return
    assert messages
    assert all(messages)


@pytest.mark.parametrize("reader", [reader for reader, _ in READERS])
def test_a_whole_run_folder_is_read(reader: Callable[[Path], Any], whole: Path) -> None:
    assert reader(whole)


@pytest.mark.parametrize("name", ["", ".", "x" * 5000, "a\0b", "\udc80", "/", "/dev/null", "/dev/null/x", "0" * 31])
def test_a_name_of_no_run_is_refused(name: str, tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"run: .* has no recorded run|must be an existing folder of a run"),
        locate_run(str(tmp_path / name) if name == "." else name, "sqlite:///absent.db"),
    ):
        pass


@pytest.mark.parametrize("name", ["../other", "/tmp/other", "a/../../other", "a\0b"])
def test_a_manifest_names_no_folder_outside_its_own(name: str, whole: Path, tmp_path: Path) -> None:
    fields = json.loads((whole / names.MANIFEST_FILE).read_bytes())
    fields["runs"][0]["folder"] = name
    (tmp_path / names.MANIFEST_FILE).write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="is outside the folder"):
        load_manifest(tmp_path)
