"""A command that records nothing leaves nothing, and touches nothing that was there; a recorded run is kept."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from pgexp.cli.keep import claim, remove_unrecorded
from tests.cli.conftest import CLOCK, Done
from tests.cli.console import Server
from tests.tiers import tiered

EARLY, LATE = "budget.steps=-1", "env.id=CartPole-v11"  # mistakes found while composing, and once the run is built


def standing(folder: Path) -> dict[str, bytes | None]:
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
def test_a_refused_command_leaves_nothing(ready: Server, tmp_path: Path, line: str, mistake: str) -> None:
    assert ready.run(tmp_path, *line.split(), mistake).code == 2
    assert standing(tmp_path) == {}


OWN_FOLDER = (
    "hydra.run.dir=mine",
    "-m hydra.sweep.dir=mine seed=1,2",
    "-m hydra.sweep.dir=. hydra.sweep.subdir=mine",
)


@pytest.mark.parametrize(
    ("line", "mistake"), tiered(product(OWN_FOLDER, [EARLY, LATE]), lambda case: case == (OWN_FOLDER[0], LATE))
)
def test_a_refused_command_leaves_a_folder_as_it_was(ready: Server, tmp_path: Path, line: str, mistake: str) -> None:
    (tmp_path / "mine" / "0").mkdir(parents=True)
    (tmp_path / "mine" / "0" / "notes.txt").write_text("kept")
    (tmp_path / "mine" / "config.json").write_text("kept too")
    before = standing(tmp_path)
    assert ready.run(tmp_path, *line.split(), mistake).code == 2
    assert standing(tmp_path) == before


def test_what_another_wrote_into_a_new_folder_stays(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    claim(folder, "hydra.run.dir")
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text("seed: 0")
    (folder / "notes.txt").write_text("kept")
    remove_unrecorded()
    assert standing(tmp_path) == {"new": None, "new/run": None, "new/run/notes.txt": b"kept"}


def test_a_folder_that_another_made_at_the_same_time_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(path: Path) -> None:
        mkdir(path)
        mkdir(path)  # the first was another's

    mkdir = Path.mkdir
    monkeypatch.setattr(Path, "mkdir", too_late)
    claim(tmp_path / "run", "hydra.run.dir")
    remove_unrecorded()
    assert standing(tmp_path) == {"run": None}


@pytest.mark.slow
@pytest.mark.parametrize("line", ["hydra.run.dir=DIR/0", "hydra.run.dir=DIR", "-m seed=7 hydra.sweep.dir=DIR",
                                  "-m seed=7 hydra.sweep.dir=DIR hydra.sweep.subdir=other"])  # fmt: skip
def test_a_recorded_folder_is_kept_as_it_is(sweep: Done, ready: Server, line: str) -> None:
    folder = str(sweep.output.relative_to(sweep.folder))
    before = standing(sweep.folder)
    assert "holds a recorded run already" in ready.run(sweep.folder, *line.replace("DIR", folder).split()).mistake
    assert standing(sweep.folder) == before


@pytest.mark.slow
def test_a_command_that_recorded_keeps_what_it_made(ready: Server, workplace: Callable[[], Path]) -> None:
    folder = workplace()
    answer = ready.run(folder, *CLOCK, "+env.kwargs.when=0", "hydra.run.dir=run", "budget.steps=8", "dtype=float64")
    assert answer.code == 0, answer.err
    assert (folder / "run" / "record.json").is_file()
    assert (folder / "run" / ".hydra" / "config.yaml").is_file()


@pytest.mark.parametrize(
    "subdir",
    tiered(
        ["..", "../x", "a/../../x", "/tmp/x", "${seed}/../../x", "${hydra.sweep.dir}/../../../x"],
        lambda subdir: subdir == "../x",
    ),
)
def test_a_run_s_folder_is_below_its_sweep_s(ready: Server, tmp_path: Path, subdir: str) -> None:
    answer = ready.run(tmp_path, "-m", "seed=1,2", "hydra.sweep.dir=a/b", f"hydra.sweep.subdir={subdir}/${{seed}}")
    assert answer.mistake.startswith("hydra.sweep.subdir: ")
    assert "leads out of the folder" in answer.mistake
    assert standing(tmp_path) == {}


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
def test_a_name_in_a_run_s_folder_leads_nowhere_else(ready: Server, tmp_path: Path, line: str) -> None:
    assert "must be the name of something in the run's folder" in ready.run(tmp_path, *line.split()).mistake
    assert standing(tmp_path) == {}


def test_a_pickle_is_not_run(light: Server, tmp_path: Path) -> None:
    (tmp_path / "job.pickle").write_bytes(b"cposix\nsystem\n(S'touch ran'\ntR.")
    for option in ("--experimental-rerun", "--exp"):
        assert "not supported" in light.run(tmp_path, option, "job.pickle").mistake
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("line", "code"),
    tiered([("", 2), ("-m seed=1,2", 2), ("hydra.output_subdir=null", 1)], lambda case: case[0] == ""),
)
def test_a_disk_that_is_full_at_the_start_leaves_nothing(ready: Server, tmp_path: Path, line: str, code: int) -> None:
    answer = ready.run(tmp_path, *line.split(), file_size=2000)
    assert (answer.code, answer.err.count("\n")) == (code, 1)
    assert "File too large; raise the limit" in answer.err
    assert str(tmp_path) in answer.err
    assert (code == 1) == ("nothing was recorded" in answer.err)
    assert standing(tmp_path) == {}
