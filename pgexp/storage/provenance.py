"""Where a run's numbers come from: the code, the packages, the machine and the command, as they were."""

import hashlib
import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from pgexp.schema.names import PROVENANCE_FOLDER
from pgexp.storage.files import write_json, write_text
from pgexp.storage.git import GitState, git_state

_PACKAGE = Path(__file__).resolve().parents[1]
_SETTINGS = (  # what torch's and NumPy's arithmetic depends on
    "MKL_CBWR",
    "ATEN_CPU_CAPABILITY",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NPY_DISABLE_CPU_FEATURES",
)
_SECRET = re.compile(r"((?:\b|_)(?:api)?key|token|password|passwd|secret)(s?\s*[=:]).+", re.I | re.S)
_CREDENTIALS = re.compile(r"(://[^/\s:@]*:)[^/\s]+@")


@dataclass(frozen=True)
class Provenance:
    """What a run ran on; the machine's name is no part of it."""

    git: GitState
    code: str  # hash of the package, the user's modules in play and the lock file
    packages: tuple[str, ...]  # name==version
    machine: dict[str, str | int | None]
    command: str  # secrets masked
    started: str  # UTC, when this was collected


def collect(cwd: Path, modules: Sequence[Path] = ()) -> Provenance:
    """Collect the provenance of a run that starts now in a folder, with some modules of the user's own."""
    state = git_state(cwd)
    return Provenance(
        git=state if state.repository else git_state(_PACKAGE),
        code=hash_code(_PACKAGE, modules),
        packages=_packages(),
        machine=_machine(),
        command=shlex.join([Path(sys.argv[0]).name, *map(mask, sys.argv[1:])]),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def write(provenance: Provenance, folder: Path) -> None:
    """Write a provenance into its place in a run's or a sweep's folder."""
    folder = folder / PROVENANCE_FOLDER
    git = provenance.git
    about_git = {"repository": git.repository, "commit": git.commit, "dirty": git.dirty}
    write_json(folder / "git.json", about_git | {"untracked": git.untracked, "code": provenance.code})
    if git.diff:
        write_text(folder / "git.diff", git.diff)
    write_text(folder / "packages.txt", "".join(f"{package}\n" for package in provenance.packages))
    when = {"command": provenance.command, "started": provenance.started}
    write_json(folder / "machine.json", provenance.machine | when)


def hash_code(package: Path, modules: Sequence[Path] = ()) -> str:
    """Return the sha256 over names and contents of a package's code, what stands beside it, and some modules.

    Beside it are pgexp's plugins, where an installed package has those of others, too, and the lock file, which
    only a checkout has. A module counts by its file's name, not by where it stands.
    """
    beside = package.parent
    ours = [*package.rglob("*.py"), *beside.glob("hydra_plugins/pgexp*.py"), *beside.glob("requirements.lock")]
    named = [(path.relative_to(beside).as_posix(), path) for path in ours]
    named += [(f"module {path.name}", path) for path in modules]
    lines = sorted(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for name, path in named)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def mask(argument: str) -> str:
    """Return a command's argument with *** for a secret: ``token=...``, or ``user:password@`` in a URI."""
    return _CREDENTIALS.sub(r"\1***@", _SECRET.sub(r"\1\2***", argument))


def _packages() -> tuple[str, ...]:
    about = (distribution.metadata for distribution in metadata.distributions())
    return tuple(sorted({f"{each['Name']}=={each['Version']}" for each in about}, key=str.lower))


def _machine() -> dict[str, str | int | None]:
    machine: dict[str, str | int | None] = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
    return machine | {name: os.environ[name] for name in _SETTINGS if name in os.environ}


def _cpu() -> str:
    """Return the processor's model, which Python itself knows on few systems."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())
