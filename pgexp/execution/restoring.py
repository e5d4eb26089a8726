"""Runs a command in the code and the environment of a recording, as far as they can be had again."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pgexp
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import PROVENANCE_FOLDER
from pgexp.storage.differences import changed_packages
from pgexp.storage.provenance import LOCK_FILE, MODULES_FOLDER, Provenance, hash_code, installed_packages
from pgexp.storage.worktree import bring_untracked, worktree

Say = Callable[[str], None]

_PACKAGE = Path(pgexp.__file__).parent
_NAMED = 5  # files, of those that are missing


def run_in_recorded_code(
    origin: Provenance, run_folder: Path, folder: Path | None, command: Sequence[str], say: Say
) -> int:
    """Run `python -m ...`, a command of pgexp's own, in the code that a run was recorded with; return its exit code.

    `folder` is where that code is put to stay; without it, it goes again. Raises ConfigError where it can't be had.
    """
    with worktree(origin.home, folder, [Path.cwd(), _PACKAGE]) as code:
        _tell_code(origin, run_folder, code, say)
        if not (code / f"{command[0].replace('.', '/')}.py").is_file():
            raise _problem(
                f"the code of commit {origin.home.commit} has no {command[0]} yet; it can't reproduce its runs"
            )
        python = _environment(origin, run_folder, code, say)
        return run_module(command, [modules_of(run_folder), code], python=python, cwd=code)


def run_module(
    command: Sequence[str], path: Sequence[Path], python: str = sys.executable, cwd: Path | None = None
) -> int:
    """Run `python -m ...` with some folders first on its import path; return its exit code."""
    sys.stdout.flush()
    beyond = os.environ.get("PYTHONPATH", "")
    places = os.pathsep.join([*map(str, path), *filter(None, [beyond])])
    return subprocess.run(
        [python, "-P", "-m", *command], cwd=cwd, env={**os.environ, "PYTHONPATH": places}, check=False
    ).returncode


def modules_of(run_folder: Path) -> Path:
    """Return the folder of the user's own modules as they were recorded."""
    return run_folder / PROVENANCE_FOLDER / MODULES_FOLDER


def _tell_code(origin: Provenance, run_folder: Path, code: Path, say: Say) -> None:
    missing = bring_untracked(origin.home, code)
    changes = " and the changes that were not committed" if origin.home.diff else ""
    say(f"worktree     {code}: commit {origin.home.commit}{changes}")
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        say(f"untracked    changed or gone since, and left out: {', '.join(missing[:_NAMED])}{more}")
    modules = {place: modules_of(run_folder) / place for place in origin.modules}
    same = hash_code(code / _PACKAGE.name, modules) == origin.code
    say(f"code         {'the recorded one' if same else 'NOT the recorded one'}, by its hash")


def _environment(origin: Provenance, run_folder: Path, code: Path, say: Say) -> str:
    """Return the Python whose packages are the recorded ones, or come nearest to it."""
    changed = changed_packages(origin.packages, installed_packages())
    if origin.lock is not None:
        locked = {line.partition("==")[0].lower() for line in origin.lock.splitlines()}
        changed = {name: versions for name, versions in changed.items() if name in locked}
    if not changed:
        say("environment  this one: its packages are the recorded ones")
        return sys.executable
    told = ", ".join(f"{name} {then} then, {now or 'none'} now" for name, (then, now) in changed.items())
    if origin.lock is None:
        say(f"environment  this one, since no lock file was recorded; it differs: {told}")
        return sys.executable
    say(f"environment  made of the recorded lock file, which takes minutes; this one differs: {told}")
    return _installed(code / ".venv", run_folder / PROVENANCE_FOLDER / LOCK_FILE)


def _installed(folder: Path, lock: Path) -> str:
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(lock)]
    for command in ([sys.executable, "-m", "venv", str(folder)], pip):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise _problem(f"the recorded environment can't be made: {' '.join(reason)}")
    return str(python)


def _problem(text: str) -> ConfigError:
    return ConfigError([Problem("worktree", text)])
