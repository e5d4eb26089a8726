"""The code that a policy takes to act, kept with it: an archive to import from, and pins of what it imports itself."""

import ast
import io
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from pgexp.schema.names import CODE_FILE, REQUIREMENTS_FILE
from pgexp.schema.signatures import source
from pgexp.storage.files import replacing, write_text

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
    own, installed = _reached(modules)
    distributions = metadata.packages_distributions()
    names = {name for top in installed for name in distributions[top]}.union(_IMPORTED)
    pins = {name.lower(): f"{name}=={metadata.version(name).partition('+')[0]}" for name in names}
    return Code(_zipped(files | own), tuple(pins[name] for name in sorted(pins)))


def write(code: Code, folder: Path) -> None:
    """Write the code into its place in a run's folder."""
    with replacing(folder / CODE_FILE) as draft:
        draft.write_bytes(code.archive)
    write_text(folder / REQUIREMENTS_FILE, "".join(f"{pin}\n" for pin in code.requirements))


def _reached(modules: frozenset[str]) -> tuple[dict[str, Path], set[str]]:
    """Follow imports from some modules: return the user's files, by their place, and what is installed."""
    distributions = metadata.packages_distributions()
    files: dict[str, Path] = {}
    installed: set[str] = set()
    known = sys.stdlib_module_names | {_PACKAGE.name}
    waiting, seen = [*modules], set[str]()
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in seen or top in known:
            continue
        seen.add(name)
        path = _source(name)
        if path is not None and not _is_installed(path):
            place = Path(*name.split("."))
            files[str(place / path.name if path.name == "__init__.py" else place.with_suffix(".py"))] = path
            waiting += [*_imports(name, path), *_parents(name)]
        elif top in distributions and not _is_own(top):
            installed.add(top)
    return files, installed


def _source(module: str) -> Path | None:
    try:
        return source(module)
    except LookupError:  # an extension, a package without a file of its own, or no module: a name in one
        return None


def _is_own(top: str) -> bool:
    path = _source(top)
    return path is not None and not _is_installed(path)


def _is_installed(path: Path) -> bool:
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _imports(module: str, path: Path) -> Iterator[str]:
    """Yield the modules that a module imports, and the names that it takes from them: these may be modules, too."""
    parts = module.split(".")
    package = parts if path.name == "__init__.py" else parts[:-1]
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _zipped(files: dict[str, Path]) -> bytes:
    """Return a zip file. It names folders, too: without them a package that has no __init__.py is not found in it."""
    folders = {f"{parent.as_posix()}/" for name in files for parent in Path(name).parents if parent != Path()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted([*files, *folders]):
            content = files[name].read_bytes() if name in files else b""
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
