"""Provenance of a run: its code, packages, machine and command, and the time that it took."""

import ctypes
import hashlib
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any, Final

from pgexp.runs.files import LinkedFiles, as_bytes, as_json, read_json, write_json
from pgexp.runs.git import GitState, git_state, is_tracked, repository_of
from pgexp.runs.manifest import RunEntry
from pgexp.runs.secrets import mask_text
from pgexp.runs.user_code import current_sources
from pgexp.schema.determinism import SETTINGS
from pgexp.schema.names import COST_FILE, LOCK_FILE, MACHINE_FILE, ORIGIN_FILE, PACKAGES_FILE, PROVENANCE_FOLDER

MODULES_FOLDER: Final = "modules"  # with the user's modules at their import paths

_PACKAGE = Path(__file__).resolve().parents[1]
_MACHINE, _ORIGIN, _PACKAGES, _LOCK = (
    PurePath(name).name for name in (MACHINE_FILE, ORIGIN_FILE, PACKAGES_FILE, LOCK_FILE)
)
_CURRENT, _HOME = "git", "pgexp"  # names of files: of the working directory's repository, and of pgexp's if it differs

Machine = dict[str, Any]
"""Description of a machine in plain JSON."""

MACHINE_FACTS: Final = frozenset({"platform", "cores", "memory"})  # parts on which no number depends

# Environment variables on which bits depend: those that pgexp sets, and others that a user may set.
VARIABLES: Final = (
    *SETTINGS,
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "OPENBLAS_L2_SIZE",
    "ONEDNN_MAX_CPU_ISA",
)
_INSTRUCTIONS = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve")  # for which libraries have special routines
_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Provenance:
    """Origin of a run's numbers. The machine's name is not included."""

    git: GitState  # of the working directory's repository, or pgexp's if the directory is in none
    home: GitState  # of the checkout of pgexp; empty if pgexp was installed as a package
    code: str  # hash of the package, the user's modules in use and the lock file
    modules: Mapping[str, str]  # texts of the user's modules in use, by import path
    packages: tuple[str, ...]  # name==version
    lock: str | None  # text of the checkout's lock file
    machine: Machine
    command: str  # secrets masked
    started: str  # UTC, when the provenance was collected

    @cached_property
    def contents(self) -> Mapping[str, bytes]:
        """Contents of its files by name, except the one that differs between the runs of a sweep."""
        is_home = self.git == self.home
        texts = _git_texts(self.git, _CURRENT, {"code": self.code, "pgexp": is_home})
        if not is_home and self.home.repository is not None:
            texts |= _git_texts(self.home, _HOME, {})
        texts |= {f"{MODULES_FOLDER}/{place}": text for place, text in self.modules.items()}
        texts[_PACKAGES] = "".join(f"{package}\n" for package in self.packages)
        if self.lock is not None:
            texts[_LOCK] = self.lock
        texts[_MACHINE] = as_json(self.machine)
        return {name: as_bytes(text) for name, text in texts.items()}


def collect(cwd: Path, modules: Mapping[str, Path]) -> Provenance:
    """Return the provenance of a run that starts now in a folder. modules: the user's own, by import path."""
    current, home = _git_states(cwd)
    lock = _PACKAGE.with_name(_LOCK)
    return Provenance(
        git=current if current.repository else home,
        home=home,
        code=hash_code(_PACKAGE, modules),
        modules={place: _read_text(path) for place, path in modules.items()},
        packages=installed_packages(),
        lock=_read_text(lock) if lock.is_file() else None,
        machine=machine(),
        command=shlex.join([Path(sys.argv[0]).name, *map(mask_text, sys.argv[1:])]),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def write(
    provenance: Provenance,
    folder: Path,
    run: RunEntry | None = None,
    sweep: str | None = None,
    files: LinkedFiles | None = None,
) -> None:
    """Write a provenance into the folder of a run or sweep.

    Args:
        provenance: to write.
        folder: of the run or sweep.
        run: whose keys are written, if it is one.
        sweep: the id of the run's sweep.
        files: the writer of the sweep's other runs, with which all files but the keys are shared.
    """
    folder = folder / PROVENANCE_FOLDER
    writer = files or LinkedFiles()
    for name, content in provenance.contents.items():
        writer.write(folder / name, content)
    keys = {"key": run.key, "configuration": run.configuration, "sweep": sweep} if run else {}
    origin = {"command": provenance.command, "started": provenance.started, "lock": provenance.lock is not None}
    write_json(folder / _ORIGIN, origin | keys)


def read(folder: Path) -> Provenance:
    """Return the provenance in a run's folder. Raises ValueError with the name of a missing or damaged file."""
    folder = folder / PROVENANCE_FOLDER
    fields, git = _read_git(folder, _CURRENT)
    home = _read_git(folder, _HOME)[1] if (folder / f"{_HOME}.json").is_file() else GitState()
    origin = read_json(folder / _ORIGIN)
    modules = folder / MODULES_FOLDER
    try:
        return Provenance(
            git=git,
            home=git if fields["pgexp"] else home,
            code=str(fields["code"]),
            modules={path.relative_to(modules).as_posix(): _read_text(path) for path in sorted(modules.rglob("*.py"))},
            packages=tuple(_read_text(folder / _PACKAGES).splitlines()),
            lock=_read_text(folder / _LOCK) if (folder / _LOCK).is_file() else None,
            machine=read_json(folder / _MACHINE),
            command=str(origin["command"]),
            started=str(origin["started"]),
        )
    except KeyError as error:
        raise ValueError(f"{folder}: {error} is missing") from error
    except OSError as error:
        raise ValueError(f"{error.filename}: {error.strerror}") from error


def is_current_code(provenance: Provenance) -> bool:
    """Return whether the code of a recorded run, the user's modules included, equals the current code."""
    return provenance.code == hash_code(_PACKAGE, current_sources(provenance.modules))


def hash_code(package: Path, modules: Mapping[str, Path]) -> str:
    """Return the sha256 of names and contents of a package, pgexp's Hydra plugins, the lock file and modules.

    Only a checkout has a lock file. modules: files by import path; their other location does not matter.
    """
    root = package.parent
    own = [*package.rglob("*.py"), *root.glob("hydra_plugins/pgexp*.py"), *root.glob(_LOCK)]
    named = [(path.relative_to(root).as_posix(), path) for path in own]
    named += [(f"module {place}", path) for place, path in modules.items()]
    lines = sorted(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for name, path in named)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _git_states(cwd: Path) -> tuple[GitState, GitState]:
    """Return the states of a folder's repository and of pgexp's own."""
    current = git_state(cwd)
    if not is_tracked(_PACKAGE / "__init__.py"):
        return current, GitState()
    root = repository_of(_PACKAGE)
    return current, current if root is not None and str(root) == current.repository else git_state(_PACKAGE)


def _git_texts(state: GitState, name: str, more: Mapping[str, Any]) -> dict[str, str]:
    """Return the files of a repository's state by name."""
    fields = {
        "repository": state.repository,
        "commit": state.commit,
        "dirty": state.dirty,
        "untracked": state.untracked,
        **more,
    }
    texts = {f"{name}.json": as_json(fields)}
    return texts | {f"{name}.diff": state.diff} if state.diff else texts


def _read_git(folder: Path, name: str) -> tuple[dict[str, Any], GitState]:
    fields, diff = read_json(folder / f"{name}.json"), folder / f"{name}.diff"
    known = {key: fields.get(key) for key in ("repository", "commit", "dirty")}
    untracked = fields.get("untracked")
    hashes = untracked if isinstance(untracked, dict) else {}
    return fields, GitState(**known, diff=_read_text(diff) if diff.is_file() else "", untracked=hashes)


def installed_packages() -> tuple[str, ...]:
    """Return the packages of this environment as name==version."""
    packages = (distribution.metadata for distribution in metadata.distributions())
    return tuple(sorted({f"{each['Name']}=={each['Version']}" for each in packages}, key=str.lower))


def _read_text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def machine() -> Machine:
    """Return the machine, libraries and settings of this process: all on which numbers or their speed may depend."""
    import torch  # loaded already in a process that trains

    return {
        "platform": platform.platform(),
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "cpu": _cpu_info("model name") or platform.processor(),
        "instructions": _instructions(),
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "settings": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "threads": torch.get_num_threads(),
        "torch": _torch_libraries(torch.__config__.show()),
        "numpy": _numpy_libraries(),
    }


def _instructions() -> list[str]:
    flags = (_cpu_info("flags") or _cpu_info("Features")).split()
    return sorted(flag for flag in flags if flag.startswith(_INSTRUCTIONS))


def _cpu_info(key: str) -> str:
    """Return a value of Linux's /proc/cpuinfo, or "" on other systems."""
    lines = _CPU_INFO.read_text().splitlines() if _CPU_INFO.exists() else []
    values = (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key)
    return next(values, "")


def _torch_libraries(config: str) -> list[str]:
    """Return torch's libraries and their routines, from the text of its build configuration."""
    lines = [line.removeprefix("  - ") for line in config.splitlines() if line.startswith("  - ")]
    build = " ".join(line for line in lines if line.startswith("Build settings:"))
    algebra = re.findall(r"\b(?:BLAS|LAPACK)_INFO=\w+", build)
    return [line for line in lines if not line.startswith("Build settings:")] + algebra


def _numpy_libraries() -> list[str]:
    import numpy as np

    config = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    routines = config.get("SIMD Extensions", {})
    used = ", ".join([*routines.get("baseline", []), *routines.get("found", [])])
    return [f"{blas.get('name')} {blas.get('version')}", f"OpenBLAS core {_openblas_core()}", f"SIMD {used}"]


def _openblas_core() -> str:
    """Return the processor type for which the loaded OpenBLAS selected its routines."""
    import numpy as np

    for path in sorted(Path(np.__file__).parents[1].glob("numpy.libs/libscipy_openblas*")):
        core = getattr(ctypes.CDLL(str(path)), "scipy_openblas_get_corename64_", None)
        if core is not None:
            core.restype = ctypes.c_char_p
            return str(core().decode())
    return "unknown"


class ResourceUsage:
    """Wall and CPU time of this process since the creation of the object; children are not included."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def write(self, run_folder: Path) -> None:
        """Add the time until now to the cost in a run's folder.

        A resumed run has several parts. A part that was killed by SIGKILL is missing.
        """
        path = run_folder / COST_FILE
        before = read_json(path) if path.exists() else {}
        cost = {"wall_seconds": time.perf_counter() - self._wall, "cpu_seconds": time.process_time() - self._cpu}
        total = {name: round(before.get(name, 0.0) + seconds, 3) for name, seconds in cost.items()}
        write_json(path, total | {"parts": before.get("parts", 0) + 1})
