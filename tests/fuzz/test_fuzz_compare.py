"""`pgexp-compare` with any arguments and damaged manifests: it works or reports the problem."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgexp.cli.compare import main
from pgexp.comparison import comparison, table  # noqa: F401 - loaded once, not in each fork
from pgexp.runs.manifest import SweepManifest, Tracking, save_manifest
from tests.fuzz.damage import damages
from tests.fuzz.forked import run_in_fork
from tests.fuzz.outcomes import contents, fuzzed, require_handled
from tests.manifests import run_entry

_WORDS = (
    *(
        "",
        ".",
        "..",
        "/",
        "sweep",
        "sweep/",
        "absent",
        "absent/sweep",
        "mlflow.db",
        "x" * 5000,
        "é",
        "\udc80",
        "a\nb",
        "'",
    ),
    *(
        "nan",
        "inf",
        "1e400",
        "-1",
        "x",
        "--all",
        "--runs",
        "--select",
        "--report",
        "--scale",
        "--collapsed",
        "--reference",
        "--threshold",
        "--out",
        "--uri",
        "--experiment",
        "-h5",
        "--",
        "--nonsense",
    ),
    *("sqlite:///", "sqlite:////", "sqlite:///mlflow.db", "sqlite:///sweep", "sqlite:///nothing/mlflow.db", '"', "%"),
    *(
        "sqlite:///sweep/manifest.json",
        "http://",
        "http://[",
        "http://127.0.0.1:1",
        "ftp://x",
        "file:///tmp",
        "\x1b[1m",
    ),
    *("postgresql://x/y", "mysql://x", "sqlite:///a\udc80"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, fresh_store: Path) -> Iterator[Path]:
    """A working folder with an empty store, and the folder of a sweep that is missing in it."""
    folder = tmp_path_factory.mktemp("work")
    copy(fresh_store, folder)
    runs = tuple(run_entry("a", seed, str(seed)) for seed in (0, 1))
    tracking = Tracking(f"sqlite:///{folder / 'mlflow.db'}", "pgexp", max_points=2)
    save_manifest(
        SweepManifest(folder / "sweep", "20260101-000000-abcdef", "a", "pgexp -m seed=0,1", tracking, runs, {})
    )
    return folder


@fuzzed(0.1)
@given(data=st.data())
def test_a_comparison_is_made_or_refused(data: st.DataObject, whole: Path, scratch: Path) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        record = folder / "sweep" / "manifest.json"
        record.parent.mkdir()
        copy(whole / "sweep" / "manifest.json", record)
        if data.draw(st.booleans()):
            data.draw(damages(record))(record)
            words = ["sweep/"]
        else:
            words = data.draw(st.lists(st.sampled_from(_WORDS), max_size=3))
        before = contents(folder)
        answer = run_in_fork(main, scratch, folder, "pgexp-compare", *words)
        require_handled(answer, "pgexp-compare")
        assert answer.code == 2 or "sweep" in " ".join(words), "only a sweep's folder can be compared"
        assert answer.code == 0 or contents(folder) == before
