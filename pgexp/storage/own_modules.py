"""The user's own modules: found along the import path, and through what they import, without importing anything."""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.util import resolve_name
from pathlib import Path

from pgexp.schema.signatures import source

_KNOWN = sys.stdlib_module_names | {"pgexp", "hydra_plugins"}


def own_sources(modules: Iterable[str]) -> dict[str, Path]:
    """Return the files of some modules, and of the user's own ones that they import, by their place.

    The packages that a module is in belong to it. What was installed is told by its version, unless it is asked for.
    """
    asked = set(modules)

    def is_kept(name: str, path: Path) -> bool:
        return name in asked or is_own(name, path)

    found = reached(asked, is_kept)
    return dict(
        sorted((place_of(name, path), path) for name, path in found if path is not None and is_kept(name, path))
    )


def standing(places: Iterable[str]) -> dict[str, Path]:
    """Return the files that stand at some places now, as the import path has them; those that are gone are left out."""
    modules = {place: place.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for place in places}
    return {place: path for place, module in modules.items() if (path := source_of(module)) is not None}


def reached(modules: Iterable[str], is_followed: Callable[[str, Path], bool]) -> Iterator[tuple[str, Path | None]]:
    """Yield some modules, and those that they import, if they are followed, and so on: each with its file.

    A name that is no module, but something in one, has none; nor has an extension.
    """
    waiting, seen = [*modules], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = source_of(name)
        yield name, path
        if path is not None and is_followed(name, path):
            waiting += [*_parents(name), *_imports(name, path)]


def source_of(module: str) -> Path | None:
    """Return the file of a module, or None where it has no Python source."""
    try:
        return source(module)
    except LookupError:  # a name in a module, an extension, or a package without a file of its own
        return None


def is_own(module: str, path: Path) -> bool:
    """Return whether a module with that file is the user's own: neither Python's nor pgexp's, and not installed."""
    return not is_known(module) and {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def is_known(module: str) -> bool:
    """Return whether a module is of Python's standard library, or of pgexp."""
    return module.partition(".")[0] in _KNOWN


def place_of(module: str, path: Path) -> str:
    """Return a module's path below the entry of the import path that it is found through: ``nets/wide.py``."""
    place = Path(*module.split("."))
    return (place / path.name if path.name == "__init__.py" else place.with_suffix(".py")).as_posix()


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _imports(module: str, path: Path) -> Iterator[str]:
    """Yield the modules that a module imports, and the names that it takes from them, which may be modules, too."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    with suppress(SyntaxError, ImportError):  # it is told when the module is imported
        for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = resolve_name("." * node.level + (node.module or ""), package)
                yield origin
                yield from (f"{origin}.{alias.name}" for alias in node.names)
