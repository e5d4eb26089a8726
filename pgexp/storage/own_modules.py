"""The user's own modules: their sources, found along the import path without importing anything."""

import ast
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import resolve_name
from pathlib import Path

from pgexp.schema.signatures import source

_KNOWN = sys.stdlib_module_names | {"pgexp", "hydra_plugins"}


def own_sources(modules: Iterable[str]) -> dict[str, Path]:
    """Return the files of some modules, and of the user's own ones that they import, by their place.

    A place is a path below the entry of the import path that the module was found through: ``nets/wide.py``. The
    packages that a module is in belong to it. What was installed is told by its version, unless it is asked for.
    """
    found: dict[str, Path] = {}
    asked = set(modules)
    waiting, seen = [*asked], set[str]()
    while waiting:
        name = waiting.pop()
        path = None if name in seen else _source(name)
        seen.add(name)
        if path is not None and (name in asked or _is_own(name, path)):
            found[_place(name, path)] = path
            waiting += [*_parents(name), *_imports(name, path)]
    return dict(sorted(found.items()))


def standing(places: Iterable[str]) -> dict[str, Path]:
    """Return the files that stand at some places now, as the import path has them; those that are gone are left out."""
    modules = {place: place.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for place in places}
    return {place: path for place, module in modules.items() if (path := _source(module)) is not None}


def _source(module: str) -> Path | None:
    try:
        return source(module)
    except LookupError:  # a name in a module, an extension, or a package without a file of its own
        return None


def _is_own(module: str, path: Path) -> bool:
    installed = {"site-packages", "dist-packages"}
    return module.partition(".")[0] not in _KNOWN and installed.isdisjoint(path.parts)


def _place(module: str, path: Path) -> str:
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
