"""The code that a policy takes to act, kept with it: an archive to import from, and pins of what it imports itself."""

import io
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from pgexp.schema.names import CODE_FILE, REQUIREMENTS_FILE
from pgexp.storage.files import SharedFiles, as_bytes
from pgexp.storage.own_modules import is_known, is_own, place_of, reached, source_of

_PACKAGE = Path(__file__).resolve().parents[1]
_IMPORTED = ("gymnasium", "mlflow", "numpy", "pydantic", "safetensors", "torch")  # by the package, to act
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the archive depends on nothing but the code


@dataclass(frozen=True)
class Code:
    """The package and a user's own modules, as a zip file to import from, and pins of the packages that they import."""

    archive: bytes
    requirements: tuple[str, ...]  # name==version


@cache
def collect(modules: frozenset[str]) -> Code:
    """Return the code of the package and of some modules, by dotted name, with those of the user that they import.

    A user's module is kept where it stands on the import path; one that was installed is pinned instead. Data files
    beside it are not kept.
    """
    package = _PACKAGE.name
    files = {f"{package}/{path.relative_to(_PACKAGE).as_posix()}": path for path in _PACKAGE.rglob("*.py")}
    distributions = metadata.packages_distributions()
    own, installed = _reached(modules, distributions.keys())
    names = {name for top in installed for name in distributions[top]}.union(_IMPORTED)
    pins = {name.lower(): f"{name}=={metadata.version(name).partition('+')[0]}" for name in names}
    return Code(_zipped(files | own), tuple(pins[name] for name in sorted(pins)))


def write(code: Code, folder: Path, files: SharedFiles | None = None) -> None:
    """Write the code into its place in a run's folder; `files` has written that of the sweep's other runs."""
    shared = files or SharedFiles()
    shared.write(folder / CODE_FILE, code.archive)
    shared.write(folder / REQUIREMENTS_FILE, as_bytes("".join(f"{pin}\n" for pin in code.requirements)))


def _reached(modules: frozenset[str], distributions: Collection[str]) -> tuple[dict[str, Path], set[str]]:
    """Follow imports from some modules: return the user's files, by their place, and what is installed."""
    files: dict[str, Path] = {}
    installed: set[str] = set()
    for name, path in reached(modules, is_own):
        top = name.partition(".")[0]
        if path is not None and is_own(name, path):
            files[place_of(name, path)] = path
        elif top in distributions and not is_known(top) and not _has_own(top):
            installed.add(top)
    return files, installed


def _has_own(top: str) -> bool:
    """Return whether the user's own module of a name stands before the installed one."""
    path = source_of(top)
    return path is not None and is_own(top, path)


def _zipped(files: dict[str, Path]) -> bytes:
    """Return a zip file. It names folders, too: without them a package that has no __init__.py is not found in it."""
    folders = {f"{parent.as_posix()}/" for name in files for parent in Path(name).parents if parent != Path()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted([*files, *folders]):
            content = files[name].read_bytes() if name in files else b""
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
