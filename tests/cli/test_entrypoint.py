"""Commands in unusual surroundings: removed folders, closed streams, closed pipes, other locales, wrong options."""

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.cli.console import LONGEST, SCRIPTS, Server, shell, without_announcement
from tests.tiers import tiered

C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
TINY = ("env=frozenlake", "network=linear", "baseline=none", "budget.steps=8", "evaluation.final_episodes=1")


def script(folder: Path, line: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a shell line in a folder, with the commands on the path."""
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # with buffered output
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=usual | {"PATH": path} | (environment or {}),
        capture_output=True,
        timeout=LONGEST,
        check=False,
    )
    done.stderr = without_announcement(done.stderr.decode()).encode()
    return done


@pytest.mark.parametrize("command", ["pgexp", "pgexp sed=1", "pgexp --help", "pgexp-compare"])
def test_removed_working_directory(command: str, tmp_path: Path) -> None:
    done = script(tmp_path, f"mkdir gone; cd gone; rmdir ../gone; {command}")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"working directory" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonsense"], "options: unrecognized arguments: --nonsense. "),
        (["-seed=3"], "options: unrecognized arguments: -seed=3. "),
        (["--cfg"], "options: argument --cfg/-c: expected one argument. "),
        (["--cfg", "nonsense"], "options: argument --cfg/-c: invalid choice: 'nonsense' "),
        (["--config-name", "nonsense"], "config: "),
        (["--config-path", "nonsense"], "config: "),
        (["--help", "sed=1"], "sed: unknown key (got '1'). Did you mean 'seed'? "),
        (["--cfg", "job", "--run"], "config: Only one of "),
        (["--resolve"], "config: The --resolve flag can only be used "),
        ([""], ""),
        (["=1"], ""),
        (["seed"], ""),
        (["--", "-m"], ""),
    ],
)
def test_wrong_options(light: Server, tmp_path: Path, arguments: Sequence[str], said: str) -> None:
    assert light.run(tmp_path, *arguments).mistake.startswith(said)


def test_control_characters_are_escaped(light: Server, tmp_path: Path) -> None:
    said = light.run(tmp_path, "dtype=[a\nb\x1b[2J\udc80\u202e").mistake
    assert said.startswith(r"dtype=[a\nb\x1b[2J\udc80\u202e: must have the form ")


@pytest.mark.slow
def test_long_value_is_shortened(light: Server, tmp_path: Path) -> None:
    assert len(light.run(tmp_path, f"dtype={'x' * 100_000}").mistake) < 2100


@pytest.mark.slow
@pytest.mark.parametrize("line", ["pgexp $'dtype=\\xff\\xfe'", "pgexp $'\\xff=1'", "pgexp-compare $'\\xff'",
                                  "pgexp --config-dir $'\\xff'", "pgexp-compare --uri $'sqlite:///\\xff'"])  # fmt: skip
@pytest.mark.parametrize("locale", [{}, C_LOCALE])
def test_arguments_that_are_not_utf8(line: str, locale: dict[str, str], tmp_path: Path) -> None:
    done = script(tmp_path, line, locale)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("streams", ["1>&-", "0<&- 1>&- 2>&-"])
def test_training_with_closed_streams(streams: str, work: Path) -> None:
    done = script(work, f"pgexp hydra.run.dir=run {' '.join(TINY)} {streams}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (work / "run" / "metrics.parquet").is_file()


@pytest.mark.parametrize("line", ["sed=1 2>&-", "sed=1 0<&- 1>&- 2>&-", "sed=1 2> >(true)"])
def test_exit_code_of_an_error_with_closed_streams(line: str, tmp_path: Path) -> None:
    assert script(tmp_path, f"pgexp {line}").returncode == 2


@pytest.mark.slow
def test_training_continues_when_the_pipe_closes(work: Path) -> None:
    done = script(work, f"pgexp -m seed=1,2 hydra.sweep.dir=sweep {' '.join(TINY)} | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (work / "sweep" / "1" / "metrics.parquet").is_file()


@pytest.mark.parametrize(
    "command",
    tiered(
        ["pgexp --help", "pgexp --cfg job", "pgexp --info", "pgexp-compare --help"],
        lambda command: command == "pgexp --cfg job",
    ),
)
def test_reader_can_close_the_pipe(command: str, tmp_path: Path) -> None:
    done = script(tmp_path, f"{command} | head -c 1; exit ${{PIPESTATUS[0]}}")
    assert done.stderr == b""
    assert done.returncode == 0


@pytest.mark.slow
def test_folder_name_that_the_locale_cannot_encode(work: Path) -> None:
    done = script(work, f"mkdir é; pgexp 'hydra.run.dir=\"é/run\"' {' '.join(TINY)}", {"LC_ALL": "C"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert (work / "é" / "run" / "metrics.parquet").is_file()


def test_no_color_is_respected(tmp_path: Path) -> None:
    answer = script(tmp_path, "pgexp sed=1", {"NO_COLOR": "1", "FORCE_COLOR": "1"})
    assert b"\x1b" not in answer.stderr


@pytest.mark.parametrize(
    "place",
    tiered(["file/run", "/proc/run", "n" * 300, "/dev/null", "/dev/null/run"], lambda place: place == "file/run"),
)
def test_folder_that_cannot_be_created(light: Server, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("a file")
    said = light.run(tmp_path, f"hydra.run.dir={place}").mistake
    assert said.startswith("hydra.run.dir: ")
    assert place.split("/")[-1] in said or "null" in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def work(workplace: Callable[[], Path]) -> Path:
    """A working directory with a store."""
    return workplace()


def test_compare_without_arguments_and_store(tmp_path: Path) -> None:
    assert "no store at" in shell(tmp_path, "pgexp-compare").err
