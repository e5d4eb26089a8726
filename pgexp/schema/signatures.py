"""Parameters of class constructors, read from the source without importing it.

A config is thus checked in a fraction of a second, without loading torch or a user's module. The source is located on
the import path, ``from x import y`` is followed, and annotations are evaluated with the names of ``schema.types`` only.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import GenericAlias
from typing import Any, Final, Literal, Union

from pgexp.schema.types import VOCABULARY

REQUIRED: Final = object()
_UNKNOWN: Final = object()


@dataclass(frozen=True)
class Parameter:
    """A constructor's parameter: its annotation, and its default or REQUIRED."""

    annotation: Any
    default: Any = REQUIRED


@cache
def parameters(target: str) -> Mapping[str, Parameter]:
    """Return the parameters of the constructor of ``package.module.Class`` by name, in order.

    Raises LookupError with a message if the class does not exist.
    """
    module, _, name = target.rpartition(".")
    if not module:
        raise LookupError("must be an import path such as package.module.Class")
    return _of_class(module, name, frozenset())


def _of_class(module: str, name: str, seen: frozenset[tuple[str, str]]) -> Mapping[str, Parameter]:
    if (module, name) in seen:
        raise LookupError(f"circular import of {module}.{name}")
    path = source_file(module)
    tree = ast.parse(path.read_bytes(), str(path))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _constructor(node, tree, module, seen | {(module, name)})
    origin = _origin(tree, name, module, path)
    if origin is None:
        raise LookupError(f"module {module!r} ({path.name}) has no class {name!r}")
    return _of_class(*origin, seen | {(module, name)})


def _origin(tree: ast.Module, name: str, module: str, path: Path) -> tuple[str, str] | None:
    """Return the module and name from which a name, possibly dotted, was imported, or None."""
    for node in tree.body:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        within = f"{_absolute(node, module, path)}." if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            known_as = alias.asname or alias.name
            if name == known_as or name.startswith(f"{known_as}."):
                found, _, last = f"{within}{alias.name}{name.removeprefix(known_as)}".rpartition(".")
                return found, last
    return None


def _absolute(node: ast.ImportFrom, module: str, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, node.module] if node.module else package)


def source_file(module: str) -> Path:
    """Return the file of a module without importing it. Raises LookupError if there is none."""
    search: list[str] | None = None
    spec = None
    for i, part in enumerate(module.split("."), 1):
        spec = PathFinder.find_spec(part, search)
        if spec is None:
            raise LookupError(f"no module {'.'.join(module.split('.')[:i])!r} on the import path")
        search = list(spec.submodule_search_locations or [])
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise LookupError(f"module {module!r} has no Python source")
    return Path(spec.origin)


def _constructor(
    node: ast.ClassDef, tree: ast.Module, module: str, seen: frozenset[tuple[str, str]]
) -> Mapping[str, Parameter]:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return _arguments(item.args)
    inherited = _inherited(node, tree, module, seen)
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return {**inherited, **_fields(node)}
    return inherited


def _inherited(
    node: ast.ClassDef, tree: ast.Module, module: str, seen: frozenset[tuple[str, str]]
) -> Mapping[str, Parameter]:
    """Return the parameters of the first base class that has any."""
    local = {item.name for item in tree.body if isinstance(item, ast.ClassDef)}
    for base in map(ast.unparse, node.bases):
        found = (module, base) if base in local else _origin(tree, base, module, source_file(module))
        if found is not None and not found[0].startswith(("abc", "typing")):
            inherited = _of_class(*found, seen)
            if inherited:
                return inherited
    return {}


def _arguments(arguments: ast.arguments) -> Mapping[str, Parameter]:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = [*zip(positional, [*defaults, *arguments.defaults], strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {arg.arg: Parameter(_type(arg.annotation), _default(value)) for arg, value in pairs[1:]}


def _fields(node: ast.ClassDef) -> Mapping[str, Parameter]:
    return {
        item.target.id: Parameter(_type(item.annotation), _default(item.value))
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        and "ClassVar" not in ast.unparse(item.annotation)
    }  # fmt: skip


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return REQUIRED
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _type(node: ast.expr | None) -> Any:
    found = _evaluate(node) if node is not None else _UNKNOWN
    return Any if found is _UNKNOWN else found


def _evaluate(node: ast.expr) -> Any:
    """Evaluate an annotation. Members of a union that are not in the vocabulary, such as torch.Tensor, are ignored."""
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            return _evaluate(ast.parse(text, mode="eval").body)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return VOCABULARY.get(name, _UNKNOWN)
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _union([_evaluate(left), _evaluate(right)])
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _generic(name, inner.elts if isinstance(inner, ast.Tuple) else [inner])
    return _UNKNOWN


def _generic(name: str, inner: list[ast.expr]) -> Any:
    if name == "Literal":
        return Literal[tuple(ast.literal_eval(item) for item in inner)]
    if name == "Factory":
        return VOCABULARY["Factory"]
    members = [_evaluate(item) for item in inner]
    if name == "Union":
        return _union(members)
    if name == "Optional":
        return _union([*members, None])
    known = [Any if member is _UNKNOWN else member for member in members]
    match name:
        case "list" | "Sequence":
            return GenericAlias(list, known[0])
        case "tuple":
            return GenericAlias(tuple, tuple(known))
        case "dict" | "Mapping":
            return GenericAlias(dict, (known[0], known[1]))
    return _UNKNOWN


def _union(members: list[Any]) -> Any:
    known = [member for member in members if member is not _UNKNOWN]
    if all(member is None for member in known):
        return _UNKNOWN
    return Union[tuple(known)]  # noqa: UP007 - the members are not known statically
