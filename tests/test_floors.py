"""The packages, read from the imports: a file imports from its own package and from lower floors only.

Imports inside functions and under TYPE_CHECKING count like all others.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("schema",),
    ("kernels",),
    ("functional", "statistics"),
    ("envs", "networks"),
    ("baselines",),
    ("algorithms",),
    ("runs",),
    ("tracking",),
    ("execution", "comparison"),
    ("cli",),
)
FLOOR = {package: floor for floor, packages in enumerate(FLOORS) for package in packages}

Imports = Mapping[str, set[str]]
"""Each module's imports, by dotted name: of the house's modules the module, of others the name as it is written."""


def read_imports(root: Path, package: str = "pgexp") -> Imports:
    """Read the imports of every file of a package that stands in root."""
    paths = {_dotted(path.relative_to(root)): path for path in sorted((root / package).rglob("*.py"))}
    return {
        module: {_of_house(name, paths) for name in _imported(path, module)} - {module}
        for module, path in paths.items()
    }  # fmt: skip


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path, module: str) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def _of_house(name: str, modules: Mapping[str, Path]) -> str:
    """Cut what is imported from a module of the house down to that module."""
    parent = name.rpartition(".")[0]
    return name if name in modules or parent not in modules else parent


def upward(imports: Imports) -> list[str]:
    """Return every import of a package that does not stand on a lower floor."""
    found = []
    for module, names in imports.items():
        here = _package(module)
        for name in sorted(names):
            there = _package(name) if name.startswith("pgexp.") else here
            if there != here and FLOOR[there] >= FLOOR.get(here, -1):
                found.append(f"{module} imports {name}")
    return found


def _package(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def circle(imports: Imports) -> list[str]:
    """Return the modules of a circle of imports, or nothing."""
    try:
        TopologicalSorter({module: names & imports.keys() for module, names in imports.items()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def importing(imports: Imports, package: str, *forbidden: str) -> list[str]:
    """Return a package's imports of something forbidden, by itself or through other modules of the house."""
    reached = {module for module in imports if module.startswith(f"pgexp.{package}.")}
    while new := {name for module in reached for name in imports[module] & imports.keys()} - reached:
        reached |= new
    return [
        f"{module} imports {name}"
        for module in sorted(reached)
        for name in sorted(imports[module])
        if any(f"{name}.".startswith(f"{other}.") for other in forbidden)
    ]


@pytest.fixture(scope="module")
def house() -> Imports:
    return read_imports(ROOT)


def test_every_package_has_its_floor(house: Imports) -> None:
    assert {_package(module) for module in house} - {""} == set(FLOOR)


def test_no_file_imports_upward_or_across(house: Imports) -> None:
    assert upward(house) == []


def test_no_modules_import_each_other_in_a_circle(house: Imports) -> None:
    assert circle(house) == []


def test_comparison_reaches_neither_torch_nor_execution(house: Imports) -> None:
    assert importing(house, "comparison", "torch", "pgexp.execution") == []


def test_statistics_reaches_neither_torch_nor_pandas(house: Imports) -> None:
    assert importing(house, "statistics", "torch", "pandas") == []


def test_schema_reaches_neither_torch_nor_hydra(house: Imports) -> None:
    assert importing(house, "schema", "torch", "hydra", "omegaconf") == []


def test_the_plugins_import_little(house: Imports) -> None:
    allowed = {"hydra", "omegaconf", *sys.stdlib_module_names}
    names = set().union(*read_imports(ROOT, "hydra_plugins").values())
    assert {name for name in names if name.split(".")[0] not in allowed and not name.startswith("pgexp.cli.")} == set()


@pytest.mark.parametrize("plugin", [path.stem for path in sorted((ROOT / "hydra_plugins").glob("*.py"))])
def test_importing_a_plugin_loads_nothing_heavy(plugin: str) -> None:
    heavy = {"torch", "mlflow", "pandas", "numpy", "optuna", "sqlalchemy"}
    code = f"import sys, hydra_plugins.{plugin}; print(*{heavy} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


class TestChecker:
    """The checker itself, on made-up houses."""

    @staticmethod
    def read(root: Path, **files: str) -> Imports:
        for name, text in {"schema__a": "", "functional__b": "", "statistics__s": "", **files}.items():
            path = root / "pgexp" / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / "pgexp" / "schema" / "__init__.py").write_text("")
        return read_imports(root)

    def test_downward_and_within_a_package_is_fine(self, tmp_path: Path) -> None:
        imports = self.read(
            tmp_path,
            functional__b="from pgexp.schema import a\nfrom pgexp.schema.a import Thing\nimport numpy.linalg",
            functional__c="from pgexp.functional.b import thing",
        )
        assert imports["pgexp.functional.b"] == {"pgexp.schema.a", "numpy.linalg"}
        assert upward(imports) == []
        assert circle(imports) == []

    @pytest.mark.parametrize(
        "text",
        [
            "import pgexp.functional.b",
            "from pgexp.functional import b",
            "from pgexp.functional.b import thing",
            "from ..functional.b import thing",
            "from ..functional import b",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pgexp.functional.b import Thing",
            "def f():\n    from pgexp.functional.b import thing",
            "class C:\n    def f(self):\n        import pgexp.functional.b as b",
        ],
    )
    def test_an_upward_import_is_found_wherever_it_stands(self, tmp_path: Path, text: str) -> None:
        assert upward(self.read(tmp_path, schema__a=text)) == ["pgexp.schema.a imports pgexp.functional.b"]

    def test_siblings_may_not_import_each_other(self, tmp_path: Path) -> None:
        imports = self.read(tmp_path, functional__b="from pgexp.statistics import s")
        assert upward(imports) == ["pgexp.functional.b imports pgexp.statistics.s"]

    def test_the_root_imports_no_package(self, tmp_path: Path) -> None:
        imports = self.read(tmp_path, __init__="")
        (tmp_path / "pgexp" / "__init__.py").write_text("from pgexp.schema import a")
        assert imports["pgexp.schema.a"] == set()
        assert upward(read_imports(tmp_path)) == ["pgexp imports pgexp.schema.a"]

    def test_a_circle_is_found(self, tmp_path: Path) -> None:
        imports = self.read(
            tmp_path,
            schema__a="from pgexp.schema import c",
            schema__c="def f():\n    from pgexp.schema.a import thing",
        )
        assert upward(imports) == []
        assert set(circle(imports)) == {"pgexp.schema.a", "pgexp.schema.c"}

    def test_what_is_forbidden_is_found_through_other_modules(self, tmp_path: Path) -> None:
        imports = self.read(tmp_path, statistics__s="from pgexp.schema.a import x", schema__a="import torch.nn as nn")
        assert importing(imports, "statistics", "torch") == ["pgexp.schema.a imports torch.nn"]
        assert importing(imports, "statistics", "pandas", "tor") == []
