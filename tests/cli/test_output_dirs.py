"""Output folders: commands that record nothing leave no files, and recorded runs are kept."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from pgexp.cli.command_state import OutputDirs
from tests.cli.conftest import CLOCK, Done
from tests.cli.console import Server
from tests.tiers import tiered

EARLY, LATE = "budget.steps=-1", "env.id=CartPole-v11"  # errors of the composition, and of the assembly


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


LINES = (
    *("", "hydra.run.dir=a/b/c", "hydra.job.chdir=true", "hydra.output_subdir=config", "-m seed=1,2"),
    "-m seed=1,2 hydra.sweep.dir=a/b hydra.sweep.subdir=c/${seed}",
    "hydra/job_logging=default hydra/hydra_logging=default",
)


@pytest.mark.parametrize(
    ("line", "mistake"),
    tiered(product(LINES, [EARLY, LATE]), lambda case: case in (("", EARLY), ("-m seed=1,2", LATE))),
)
def test_refused_command_leaves_no_files(ready: Server, tmp_path: Path, line: str, mistake: str) -> None:
    assert ready.run(tmp_path, *line.split(), mistake).code == 2
    assert snapshot(tmp_path) == {}


OWN_FOLDER = (
    "hydra.run.dir=mine",
    "-m hydra.sweep.dir=mine seed=1,2",
    "-m hydra.sweep.dir=. hydra.sweep.subdir=mine",
)


@pytest.mark.parametrize(
    ("line", "mistake"), tiered(product(OWN_FOLDER, [EARLY, LATE]), lambda case: case == (OWN_FOLDER[0], LATE))
)
def test_refused_command_leaves_a_folder_unchanged(ready: Server, tmp_path: Path, line: str, mistake: str) -> None:
    (tmp_path / "mine" / "0").mkdir(parents=True)
    (tmp_path / "mine" / "0" / "notes.txt").write_text("kept")
    (tmp_path / "mine" / "config.json").write_text("kept too")
    before = snapshot(tmp_path)
    assert ready.run(tmp_path, *line.split(), mistake).code == 2
    assert snapshot(tmp_path) == before


def test_files_of_others_in_a_new_folder_remain(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    dirs = OutputDirs()
    dirs.reserve(folder, "hydra.run.dir")
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text("seed: 0")
    (folder / "notes.txt").write_text("kept")
    dirs.remove_unrecorded()
    assert snapshot(tmp_path) == {"new": None, "new/run": None, "new/run/notes.txt": b"kept"}


def test_folder_of_a_concurrent_command_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(path: Path) -> None:
        mkdir(path)
        mkdir(path)  # the first call is that of another command

    mkdir = Path.mkdir
    monkeypatch.setattr(Path, "mkdir", too_late)
    dirs = OutputDirs()
    dirs.reserve(tmp_path / "run", "hydra.run.dir")
    dirs.remove_unrecorded()
    assert snapshot(tmp_path) == {"run": None}


@pytest.mark.slow
@pytest.mark.parametrize("line", ["hydra.run.dir=DIR/0", "hydra.run.dir=DIR", "-m seed=7 hydra.sweep.dir=DIR",
                                  "-m seed=7 hydra.sweep.dir=DIR hydra.sweep.subdir=other"])  # fmt: skip
def test_recorded_folder_is_refused_and_unchanged(sweep: Done, ready: Server, line: str) -> None:
    folder = str(sweep.output.relative_to(sweep.folder))
    before = snapshot(sweep.folder)
    assert "has a recorded run already" in ready.run(sweep.folder, *line.replace("DIR", folder).split()).mistake
    assert snapshot(sweep.folder) == before


@pytest.mark.slow
def test_recorded_run_keeps_its_files(ready: Server, workplace: Callable[[], Path]) -> None:
    folder = workplace()
    answer = ready.run(folder, *CLOCK, "+env.kwargs.when=0", "hydra.run.dir=run", "budget.steps=8", "dtype=float64")
    assert answer.code == 0, answer.err
    assert (folder / "run" / "manifest.json").is_file()
    assert (folder / "run" / ".hydra" / "config.yaml").is_file()


@pytest.mark.parametrize(
    "subdir",
    tiered(
        ["..", "../x", "a/../../x", "/tmp/x", "${seed}/../../x", "${hydra.sweep.dir}/../../../x"],
        lambda subdir: subdir == "../x",
    ),
)
def test_run_folder_must_be_inside_the_sweep(ready: Server, tmp_path: Path, subdir: str) -> None:
    answer = ready.run(tmp_path, "-m", "seed=1,2", "hydra.sweep.dir=a/b", f"hydra.sweep.subdir={subdir}/${{seed}}")
    assert answer.mistake.startswith("hydra.sweep.subdir: ")
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize(
    "line",
    tiered(
        [
            *("hydra.output_subdir=../x", "hydra.output_subdir=/tmp/x", "hydra.output_subdir=a/b"),
            *("hydra/job_logging=default hydra.job.name=../../x", "-m hydra.output_subdir=.. seed=1,2"),
        ],
        lambda line: line.endswith("=../x"),
    ),
)
def test_names_cannot_lead_out_of_the_folder(ready: Server, tmp_path: Path, line: str) -> None:
    assert "must be the name of a file in the run's folder" in ready.run(tmp_path, *line.split()).mistake
    assert snapshot(tmp_path) == {}


def test_pickle_is_not_run(light: Server, tmp_path: Path) -> None:
    (tmp_path / "job.pickle").write_bytes(b"cposix\nsystem\n(S'touch ran'\ntR.")
    for option in ("--experimental-rerun", "--exp"):
        assert "not supported" in light.run(tmp_path, option, "job.pickle").mistake
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("line", tiered(["", "-m seed=1,2", "hydra.output_subdir=null"], lambda line: line == ""))
def test_full_disk_at_the_start_leaves_no_files(ready: Server, tmp_path: Path, line: str) -> None:
    answer = ready.run(tmp_path, *line.split(), file_size=2000)
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "File too large. Raise the limit" in answer.err
    assert str(tmp_path) in answer.err
    assert snapshot(tmp_path) == {}
