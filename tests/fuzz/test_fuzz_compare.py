"""Whatever `pgexp-compare` is given, and whatever stands in a folder that it is given: it says what is wrong."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgexp.cli.compare import main
from pgexp.comparison import comparing, table, writing  # noqa: F401 - seconds, which each fork would take
from pgexp.storage.record import Record, Tracking, write
from tests.fuzz.damage import damages
from tests.fuzz.forked import answered
from tests.fuzz.told import contents, fuzzed, require_told
from tests.storage.conftest import run_record

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
    *("sqlite:///sweep/record.json", "http://", "http://[", "http://127.0.0.1:1", "ftp://x", "file:///tmp", "\x1b[1m"),
    *("postgresql://x/y", "mysql://x", "sqlite:///a\udc80"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, fresh_store: Path) -> Iterator[Path]:
    """A working folder with a store that holds nothing, and the folder of a sweep that was to be in it."""
    folder = tmp_path_factory.mktemp("work")
    copy(fresh_store, folder)
    runs = tuple(run_record("a", seed, str(seed)) for seed in (0, 1))
    tracking = Tracking(f"sqlite:///{folder / 'mlflow.db'}", "pgexp", points=2)
    write(Record(folder / "sweep", "20260101-000000-abcdef", "a", "pgexp -m seed=0,1", tracking, runs, {}))
    return folder


@fuzzed(0.1)
@given(data=st.data())
def test_a_comparison_of_anything_is_made_or_refused(data: st.DataObject, whole: Path, scratch: Path) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        record = folder / "sweep" / "record.json"
        record.parent.mkdir()
        copy(whole / "sweep" / "record.json", record)
        if data.draw(st.booleans()):
            data.draw(damages(record))(record)
            words = ["sweep/"]
        else:
            words = data.draw(st.lists(st.sampled_from(_WORDS), max_size=3))
        before = contents(folder)
        answer = answered(main, scratch, folder, "pgexp-compare", *words)
        require_told(answer, "pgexp-compare")
        assert answer.code == 2 or "sweep" in " ".join(words), "a sweep's folder alone can be compared"
        assert answer.code == 0 or contents(folder) == before
