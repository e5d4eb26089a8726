"""Where a run's numbers come from: the code, the packages, the machine and the command, as they were."""

import hashlib
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any, Final

from pgexp.schema.names import MACHINE_FILE, ORIGIN_FILE, PACKAGES_FILE, PROVENANCE_FOLDER
from pgexp.storage.files import SharedFiles, as_bytes, as_json, read_json, write_json
from pgexp.storage.git import GitState, git_state, is_tracked, repository_of
from pgexp.storage.machine import Machine, machine
from pgexp.storage.own_modules import standing
from pgexp.storage.record import RunRecord
from pgexp.storage.secrets import mask_text

MODULES_FOLDER: Final = "modules"  # the user's own modules, each at its place below the import path
LOCK_FILE: Final = "requirements.lock"

_PACKAGE = Path(__file__).resolve().parents[1]
_MACHINE, _ORIGIN, _PACKAGES = (PurePath(name).name for name in (MACHINE_FILE, ORIGIN_FILE, PACKAGES_FILE))
_HERE, _HOME = "git", "pgexp"  # the working directory's repository, and pgexp's own where that is another


@dataclass(frozen=True)
class Provenance:
    """What a run ran on; the machine's name is no part of it."""

    git: GitState  # of the repository of the working directory, or pgexp's own where that is in none
    home: GitState  # of the checkout that pgexp itself is from; empty where it was installed as a package
    code: str  # hash of the package, the user's modules in play and the lock file
    modules: Mapping[str, str]  # the texts of the user's modules in play, by their place below the import path
    packages: tuple[str, ...]  # name==version
    lock: str | None  # the text of the checkout's lock file
    machine: Machine
    command: str  # secrets masked
    started: str  # UTC, when this was collected

    @cached_property
    def contents(self) -> Mapping[str, bytes]:
        """Its files, by name, but the one that tells the runs of a sweep apart."""
        is_home = self.git == self.home
        texts = _git_texts(self.git, _HERE, {"code": self.code, "pgexp": is_home})
        if not is_home and self.home.repository is not None:
            texts |= _git_texts(self.home, _HOME, {})
        texts |= {f"{MODULES_FOLDER}/{place}": text for place, text in self.modules.items()}
        texts[_PACKAGES] = "".join(f"{package}\n" for package in self.packages)
        if self.lock is not None:
            texts[LOCK_FILE] = self.lock
        texts[_MACHINE] = as_json(self.machine)
        return {name: as_bytes(text) for name, text in texts.items()}


def collect(cwd: Path, modules: Mapping[str, Path]) -> Provenance:
    """Collect the provenance of a run that starts now in a folder, with some modules of the user's own."""
    here, home = _states(cwd)
    lock = _PACKAGE.with_name(LOCK_FILE)
    return Provenance(
        git=here if here.repository else home,
        home=home,
        code=hash_code(_PACKAGE, modules),
        modules={place: _text(path) for place, path in modules.items()},
        packages=installed_packages(),
        lock=_text(lock) if lock.is_file() else None,
        machine=machine(),
        command=shlex.join([Path(sys.argv[0]).name, *map(mask_text, sys.argv[1:])]),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def write(
    provenance: Provenance,
    folder: Path,
    run: RunRecord | None = None,
    sweep: str | None = None,
    files: SharedFiles | None = None,
) -> None:
    """Write a provenance into its place in a run's or a sweep's folder, with the run's keys and its sweep's id.

    `files` has written that of the sweep's other runs, which share all but the keys.
    """
    folder = folder / PROVENANCE_FOLDER
    shared = files or SharedFiles()
    for name, content in provenance.contents.items():
        shared.write(folder / name, content)
    keys = {"key": run.key, "configuration": run.configuration, "sweep": sweep} if run else {}
    origin = {"command": provenance.command, "started": provenance.started, "lock": provenance.lock is not None}
    write_json(folder / _ORIGIN, origin | keys)


def read(folder: Path) -> Provenance:
    """Read the provenance of a run's folder; a ValueError names the file that is missing or damaged."""
    folder = folder / PROVENANCE_FOLDER
    about, here = _read_git(folder, _HERE)
    home = _read_git(folder, _HOME)[1] if (folder / f"{_HOME}.json").is_file() else GitState()
    origin = read_json(folder / _ORIGIN)
    modules = folder / MODULES_FOLDER
    try:
        return Provenance(
            git=here,
            home=here if about["pgexp"] else home,
            code=str(about["code"]),
            modules={path.relative_to(modules).as_posix(): _text(path) for path in sorted(modules.rglob("*.py"))},
            packages=tuple(_text(folder / _PACKAGES).splitlines()),
            lock=_text(folder / LOCK_FILE) if (folder / LOCK_FILE).is_file() else None,
            machine=read_json(folder / _MACHINE),
            command=str(origin["command"]),
            started=str(origin["started"]),
        )
    except KeyError as error:
        raise ValueError(f"{folder} lacks {error}") from error
    except OSError as error:
        raise ValueError(f"{error.filename}: {error.strerror}") from error


def is_today_s_code(provenance: Provenance) -> bool:
    """Return whether a recorded run's code is what stands here today, the user's own modules included."""
    return provenance.code == hash_code(_PACKAGE, standing(provenance.modules))


def hash_code(package: Path, modules: Mapping[str, Path]) -> str:
    """Return the sha256 over names and contents of a package's code, what stands beside it, and some modules.

    Beside it are pgexp's plugins, where an installed package has those of others, too, and the lock file, which
    only a checkout has. A module counts by its place below the import path, which may stand anywhere.
    """
    beside = package.parent
    ours = [*package.rglob("*.py"), *beside.glob("hydra_plugins/pgexp*.py"), *beside.glob(LOCK_FILE)]
    named = [(path.relative_to(beside).as_posix(), path) for path in ours]
    named += [(f"module {place}", path) for place, path in modules.items()]
    lines = sorted(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for name, path in named)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _states(cwd: Path) -> tuple[GitState, GitState]:
    """Return the states of a folder's repository and of pgexp's own, which is looked at once if they are the same."""
    here = git_state(cwd)
    if not is_tracked(_PACKAGE / "__init__.py"):
        return here, GitState()
    root = repository_of(_PACKAGE)
    return here, here if root is not None and str(root) == here.repository else git_state(_PACKAGE)


def _git_texts(state: GitState, name: str, more: Mapping[str, Any]) -> dict[str, str]:
    """Return the files that tell of a repository's state, by name."""
    about = {"repository": state.repository, "commit": state.commit, "dirty": state.dirty, "untracked": state.untracked}
    told = {f"{name}.json": as_json({**about, **more})}
    return told | {f"{name}.diff": state.diff} if state.diff else told


def _read_git(folder: Path, name: str) -> tuple[dict[str, Any], GitState]:
    about, diff = read_json(folder / f"{name}.json"), folder / f"{name}.diff"
    known = {key: about.get(key) for key in ("repository", "commit", "dirty")}
    untracked = about.get("untracked")
    hashes = untracked if isinstance(untracked, dict) else {}
    return about, GitState(**known, diff=_text(diff) if diff.is_file() else "", untracked=hashes)


def installed_packages() -> tuple[str, ...]:
    """Return the packages of this environment, each as name==version."""
    about = (distribution.metadata for distribution in metadata.distributions())
    return tuple(sorted({f"{each['Name']}=={each['Version']}" for each in about}, key=str.lower))


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")
