"""Archive of a policy's code: imports of the user's modules are included, pinned or left out."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

from pgexp.runs import user_code

ROOT = Path(__file__).parents[2]
FILES = {
    "policy_parts.py": "import math\nimport rich.text\nimport numpy as np\nimport sized.layers as layers\n",
    "sized/__init__.py": "from . import tables\n",
    "sized/layers.py": "from sized.deep.numbers import SIZE\nimport pgexp.networks.layers\n",
    "sized/tables.py": "from .deep import numbers\nimport absent_everywhere\n",
    "sized/unused.py": "",
    "sized/deep/numbers.py": "SIZE = 3\n",  # in a folder without __init__.py
    "unrelated.py": "",
}
IMPORTED = {name for name in FILES if name not in ("sized/unused.py", "unrelated.py")}


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path with a user's modules."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    user_code.archive_code.cache_clear()
    return tmp_path


def contents(archive: bytes) -> Mapping[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return {name: file.read(name) for name in file.namelist() if not name.endswith("/")}


def test_archive_has_the_whole_package() -> None:
    found = contents(user_code.archive_code(frozenset()).archive)
    package = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in (ROOT / "pgexp").rglob("*.py")}
    assert found == package


def test_imported_user_modules_are_included(user: Path) -> None:
    found = contents(user_code.archive_code(frozenset({"policy_parts"})).archive)
    assert {name for name in found if not name.startswith("pgexp/")} == IMPORTED
    assert all(found[name] == FILES[name].encode() for name in IMPORTED)


@pytest.mark.slow
def test_imports_of_a_modules_package_are_included(user: Path) -> None:
    found = contents(user_code.archive_code(frozenset({"sized.deep.numbers"})).archive)
    assert {name for name in found if not name.startswith("pgexp/")} == IMPORTED - {
        "policy_parts.py",
        "sized/layers.py",
    }


def test_installed_packages_are_pinned(user: Path) -> None:
    (without,) = {user_code.archive_code(frozenset()).requirements}
    pins = user_code.archive_code(frozenset({"policy_parts"})).requirements
    assert {*pins} - {*without} == {f"rich=={metadata.version('rich')}"}
    assert [pin.partition("==")[0] for pin in without] == [
        "gymnasium", "mlflow", "numpy", "pydantic", "safetensors", "torch"
    ]  # fmt: skip
    assert f"numpy=={metadata.version('numpy')}" in without
    assert not [pin for pin in without if "+" in pin]  # torch==2.13.0+cpu is only on torch's own index


@pytest.mark.slow
def test_archive_depends_on_the_code_only(user: Path) -> None:
    archives = []
    for _ in range(2):
        user_code.archive_code.cache_clear()
        archives.append(user_code.archive_code(frozenset({"policy_parts"})).archive)
        (user / "policy_parts.py").touch()
    assert archives[0] == archives[1]


def test_archive_can_be_imported(user: Path, tmp_path: Path) -> None:
    (user / "sized" / "tables.py").write_text("from .deep import numbers\n")
    user_code.write_code(user_code.archive_code(frozenset({"sized.layers"})), tmp_path / "run")
    archive = tmp_path / "run" / "provenance" / "code.zip"
    text = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "import pgexp.schema.streams, sized.layers\n"
        "print(sized.layers.SIZE, pgexp.__file__, sized.__file__)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.split() == ["3", f"{archive}/pgexp/__init__.py", f"{archive}/sized/__init__.py"]


def test_requirements_are_written(tmp_path: Path) -> None:
    code = user_code.archive_code(frozenset())
    user_code.write_code(code, tmp_path)
    assert (tmp_path / "provenance" / "requirements.txt").read_text().splitlines() == [*code.requirements]
