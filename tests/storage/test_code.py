"""The code kept with a policy: what a user's modules import comes along, is pinned, or is left out."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

from pgexp.storage import code

ROOT = Path(__file__).parents[2]
FILES = {
    "policy_parts.py": "import math\nimport rich.text\nimport numpy as np\nimport sized.layers as layers\n",
    "sized/__init__.py": "from . import tables\n",
    "sized/layers.py": "from sized.deep.numbers import SIZE\nimport pgexp.networks.layers\n",
    "sized/tables.py": "from .deep import numbers\nimport absent_everywhere\n",
    "sized/unused.py": "",
    "sized/deep/numbers.py": "SIZE = 3\n",  # in a folder without __init__.py
    "stranger.py": "",
}
IMPORTED = {name for name in FILES if name not in ("sized/unused.py", "stranger.py")}


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path with a user's modules."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    code.collect.cache_clear()
    return tmp_path


def contents(archive: bytes) -> Mapping[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return {name: file.read(name) for name in file.namelist() if not name.endswith("/")}


def test_the_whole_package_is_kept() -> None:
    found = contents(code.collect(frozenset()).archive)
    ours = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in (ROOT / "pgexp").rglob("*.py")}
    assert found == ours


def test_a_user_s_modules_come_with_those_that_they_import(user: Path) -> None:
    found = contents(code.collect(frozenset({"policy_parts"})).archive)
    assert {name for name in found if not name.startswith("pgexp/")} == IMPORTED
    assert all(found[name] == FILES[name].encode() for name in IMPORTED)


@pytest.mark.slow
def test_a_module_within_a_package_brings_what_its_package_imports(user: Path) -> None:
    found = contents(code.collect(frozenset({"sized.deep.numbers"})).archive)
    assert {name for name in found if not name.startswith("pgexp/")} == IMPORTED - {
        "policy_parts.py",
        "sized/layers.py",
    }


def test_what_is_installed_is_pinned(user: Path) -> None:
    (without,) = {code.collect(frozenset()).requirements}
    pins = code.collect(frozenset({"policy_parts"})).requirements
    assert {*pins} - {*without} == {f"rich=={metadata.version('rich')}"}
    assert [pin.partition("==")[0] for pin in without] == [
        "gymnasium", "mlflow", "numpy", "pydantic", "safetensors", "torch"
    ]  # fmt: skip
    assert f"numpy=={metadata.version('numpy')}" in without
    assert not [pin for pin in without if "+" in pin]  # torch==2.13.0+cpu is on no index but torch's own


@pytest.mark.slow
def test_the_archive_depends_on_the_code_alone(user: Path) -> None:
    archives = []
    for _ in range(2):
        code.collect.cache_clear()
        archives.append(code.collect(frozenset({"policy_parts"})).archive)
        (user / "policy_parts.py").touch()
    assert archives[0] == archives[1]


def test_the_archive_can_be_imported_from(user: Path, tmp_path: Path) -> None:
    (user / "sized" / "tables.py").write_text("from .deep import numbers\n")
    code.write(code.collect(frozenset({"sized.layers"})), tmp_path / "run")
    archive = tmp_path / "run" / "provenance" / "code.zip"
    text = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "import pgexp.schema.streams, sized.layers\n"
        "print(sized.layers.SIZE, pgexp.__file__, sized.__file__)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.split() == ["3", f"{archive}/pgexp/__init__.py", f"{archive}/sized/__init__.py"]


def test_requirements_stand_beside_it(tmp_path: Path) -> None:
    kept = code.collect(frozenset())
    code.write(kept, tmp_path)
    assert (tmp_path / "provenance" / "requirements.txt").read_text().splitlines() == [*kept.requirements]
