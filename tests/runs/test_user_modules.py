import sys
from pathlib import Path

import pytest

from pgexp.runs.user_code import current_sources, user_sources

FILES = {
    "top.py": "import numpy\nimport os\nfrom helper_of_top import f\nfrom pgexp.schema import types\n",
    "helper_of_top.py": "def f():\n    from nets import wide\n    import no_such_module\n",
    "nets/__init__.py": "",
    "nets/wide.py": "from . import deep\nfrom .deep import Deep\nimport nets.sub.far as far\n",
    "nets/deep.py": "class Deep: pass\n",
    "nets/sub/far.py": "",  # in a package without __init__.py
    "nets/unused.py": "",
    "broken.py": "def f(:\n",
    "above.py": "from ... import x\n",
    "circle_a.py": "import circle_b\n",
    "circle_b.py": "import circle_a\n",
    "site-packages/installed.py": "import helper_of_installed\n",
    "site-packages/helper_of_installed.py": "",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "places"),
    [
        ("nets.deep", {"nets/__init__.py", "nets/deep.py"}),
        ("nets.wide", {"nets/__init__.py", "nets/deep.py", "nets/wide.py", "nets/sub/far.py"}),
        ("top", {"top.py", "helper_of_top.py", "nets/__init__.py", "nets/deep.py", "nets/wide.py", "nets/sub/far.py"}),
        ("circle_a", {"circle_a.py", "circle_b.py"}),
        ("broken", {"broken.py"}),
        ("above", {"above.py"}),
        ("installed", {"installed.py"}),
        ("no_such_module", set()),
    ],
)
def test_imported_user_modules_are_found(folder: Path, module: str, places: set[str]) -> None:
    found = user_sources([module])
    assert set(found) == places
    assert all(path in (folder / place, folder / "site-packages" / place) for place, path in found.items())


def test_nothing_is_imported() -> None:
    before = set(sys.modules)
    assert user_sources(["top"])
    assert set(sys.modules) == before


def test_current_sources_follow_the_import_path(folder: Path) -> None:
    (folder / "nets" / "deep.py").unlink()
    (folder / "top.py").rename(folder / "site-packages" / "top.py")
    assert current_sources(["top.py", "nets/__init__.py", "nets/deep.py", "nets/wide.py"]) == {
        "top.py": folder / "site-packages" / "top.py",
        "nets/__init__.py": folder / "nets" / "__init__.py",
        "nets/wide.py": folder / "nets" / "wide.py",
    }
