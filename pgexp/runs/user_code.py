"""Modules of the user's own that a run uses, found without importing them, and the archive of a policy's code."""

import ast
import io
import sys
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import resolve_name
from pathlib import Path

from pgexp.runs.files import LinkedFiles, as_bytes
from pgexp.schema.names import CODE_FILE, REQUIREMENTS_FILE
from pgexp.schema.signatures import source_file

_BUNDLED = sys.stdlib_module_names | {"pgexp", "hydra_plugins"}
_PACKAGE = Path(__file__).resolve().parents[1]
_ALWAYS_REQUIRED = ("gymnasium", "mlflow", "numpy", "pydantic", "safetensors", "torch")  # by pgexp, to act
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # of files in the archive, so that it depends on the code only


def user_sources(modules: Iterable[str]) -> dict[str, Path]:
    """Return the files of modules, and of the user's modules that they import, by import path.

    The packages that contain a module are included. Installed packages are not, unless they are in `modules`, because
    their versions are recorded.
    """
    requested = set(modules)

    def is_included(name: str, path: Path) -> bool:
        return name in requested or is_user_module(name, path)

    found = reachable_modules(requested, is_included)
    included = ((name, path) for name, path in found if path is not None and is_included(name, path))
    return dict(sorted((import_path(name, path), path) for name, path in included))


def current_sources(import_paths: Iterable[str]) -> dict[str, Path]:
    """Return the files that are found now by import paths; missing ones are left out."""
    modules = {place: place.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for place in import_paths}
    return {place: path for place, module in modules.items() if (path := _source_of(module)) is not None}


def reachable_modules(
    modules: Iterable[str], is_followed: Callable[[str, Path], bool]
) -> Iterator[tuple[str, Path | None]]:
    """Yield modules, and those that they import directly or indirectly, with their files.

    The file is None for an extension, and for an imported name that is not a module. is_followed: whether the imports
    of a module are followed.
    """
    queue, seen = [*modules], set[str]()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _source_of(name)
        yield name, path
        if path is not None and is_followed(name, path):
            parts = name.split(".")
            queue += [".".join(parts[:length]) for length in range(1, len(parts))]
            queue += _imports(name, path)


def _source_of(module: str) -> Path | None:
    try:
        return source_file(module)
    except LookupError:  # not a module, an extension, or a package without a file
        return None


def is_user_module(module: str, path: Path) -> bool:
    """Return whether a module with a file is the user's own: not of Python or pgexp, and not installed."""
    return not _is_bundled(module) and {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _is_bundled(module: str) -> bool:
    return module.partition(".")[0] in _BUNDLED


def import_path(module: str, path: Path) -> str:
    """Return a module's path below its entry of the import path, such as ``nets/wide.py``."""
    place = Path(*module.split("."))
    return (place / path.name if path.name == "__init__.py" else place.with_suffix(".py")).as_posix()


def _imports(module: str, path: Path) -> Iterator[str]:
    """Yield the modules that a module imports, and the names that it imports from them, which may be modules."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    with suppress(SyntaxError, ImportError):  # reported when the module is imported
        for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = resolve_name("." * node.level + (node.module or ""), package)
                yield origin
                yield from (f"{origin}.{alias.name}" for alias in node.names)


@dataclass(frozen=True)
class CodeArchive:
    """Code of a policy: a zip file with pgexp and the user's modules, and pinned versions of their imports."""

    archive: bytes
    requirements: tuple[str, ...]  # name==version


@cache
def archive_code(modules: frozenset[str]) -> CodeArchive:
    """Return the code of pgexp and of modules, by dotted name, with the user's modules that they import.

    The user's modules keep their import paths; installed ones are pinned instead. Data files are not included.
    """
    package = _PACKAGE.name
    files = {f"{package}/{path.relative_to(_PACKAGE).as_posix()}": path for path in _PACKAGE.rglob("*.py")}
    distributions = metadata.packages_distributions()
    own, installed = _follow_imports(modules, distributions.keys())
    names = {name for top in installed for name in distributions[top]}.union(_ALWAYS_REQUIRED)
    pins = {name.lower(): f"{name}=={metadata.version(name).partition('+')[0]}" for name in names}
    return CodeArchive(_zip(files | own), tuple(pins[name] for name in sorted(pins)))


def write_code(code: CodeArchive, folder: Path, files: LinkedFiles | None = None) -> None:
    """Write the code into a run's folder. files: the writer of the sweep's other runs."""
    writer = files or LinkedFiles()
    writer.write(folder / CODE_FILE, code.archive)
    writer.write(folder / REQUIREMENTS_FILE, as_bytes("".join(f"{pin}\n" for pin in code.requirements)))


def _follow_imports(modules: frozenset[str], distributions: Collection[str]) -> tuple[dict[str, Path], set[str]]:
    """Follow imports from modules; return the user's files by import path, and the names of installed packages."""
    files: dict[str, Path] = {}
    installed: set[str] = set()
    for name, path in reachable_modules(modules, is_user_module):
        top = name.partition(".")[0]
        if path is not None and is_user_module(name, path):
            files[import_path(name, path)] = path
        elif top in distributions and not _is_bundled(top):
            source = _source_of(top)
            if source is None or not is_user_module(top, source):  # else the user's module hides the installed one
                installed.add(top)
    return files, installed


def _zip(files: dict[str, Path]) -> bytes:
    """Return a zip file with entries for folders, without which packages that lack __init__.py are not found."""
    folders = {f"{parent.as_posix()}/" for name in files for parent in Path(name).parents if parent != Path()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted([*files, *folders]):
            content = files[name].read_bytes() if name in files else b""
            archive.writestr(zipfile.ZipInfo(name, _TIMESTAMP), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
