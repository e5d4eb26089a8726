from pathlib import Path

import pandas as pd
import pytest

from pgexp.comparison import tasks
from pgexp.comparison.report import writing
from pgexp.comparison.report.drawing import Drawing
from pgexp.comparison.report.origins import Origin
from pgexp.comparison.store import ComparisonError
from tests.comparison.report.made import SCORES, comparison, differing, framed, run_rows

ORIGIN = Origin(
    *(6, "an id", "pgexp -m baseline=none,mean", "2026-01-02T03:04:05+00:00", "c0de", "f" * 40, True),
    *("0123", "torch 2.13", "4567", "a machine"),
)


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are files at once, since drawing takes seconds."""

    def drawings(_: object, factors: list[str], folder: Path) -> list[Drawing]:
        paths = [folder / name for name in ("a.png", "a.svg", "a-narrow.svg", "a.csv")]
        folder.mkdir(exist_ok=True)
        for path in paths:
            path.write_text(f"<svg>{factors}</svg>")
        return [Drawing("A caption.", "In words.", paths)]

    monkeypatch.setattr(writing, "drawings", drawings)
    monkeypatch.setattr(writing, "origins", lambda *_: [ORIGIN])


def page(folder: Path) -> str:
    return (folder / "report.html").read_text()


def test_the_page_the_tables_and_the_figures_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    paths = writing.write_report(comparison(), folder)
    assert [path.name for path in paths] == [
        *("report.html", "summary.md", "summary.tex", "differences.md", "differences.tex"),
        *("a.png", "a.svg", "a-narrow.svg", "a.csv"),
    ]
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted(paths)
    assert {path.parent.relative_to(folder).as_posix(): path.suffix for path in paths[1:5]} == {"tables": ".tex"}
    assert {path.parent for path in paths[5:]} == {folder / "figures"}


def test_the_page_asks_what_the_design_asks_or_what_it_is_told(tmp_path: Path) -> None:
    writing.write_report(comparison(), tmp_path)
    assert "<h1>How does baseline (mean, none) affect the final return on CartPole-v1?</h1>" in page(tmp_path)
    writing.write_report(comparison(), tmp_path, "Is <it> better?")
    assert "<h1>Is &lt;it&gt; better?</h1>" in page(tmp_path)


def test_the_page_tells_the_answer_the_setting_and_how_to_repeat_it(tmp_path: Path) -> None:
    writing.write_report(comparison(notes=["A note on <this>."]), tmp_path)
    found = page(tmp_path)
    texts = (
        "baseline=mean beats baseline=none.",
        "from sweep s1 in sqlite:///",
        "Test of the difference in the mean final return: paired t test.",
        "<dt>Budget</dt><dd>20,000 environment steps a run</dd>",
        "<dt>optimizer</dt><dd>adam</dd>",
        "<li>A note on &lt;this&gt;.</li>",
        '<td class="name">baseline=mean/CartPole-v1/2</td>',
        "<p>The runs, from a checkout of commit ffffffffffffffffffffffffffffffffffffffff:</p>",
        "pgexp -m baseline=none,mean\n",
        "pgexp-reproduce baseline=none/CartPole-v1/0\n",
        "pgexp-compare s1 --report\n",
        "<dt>Packages</dt><dd>torch 2.13; all packages 0123, lock file 4567</dd>",
        "with uncommitted changes, which the runs recorded",
        'alt="In words."',
        "A caption. Data: <code>figures/a.csv</code>.",
        "no run recorded them, which diagnostics=full does.",
        "No run failed or collapsed; 3 seeds can&#39;t rule out that up to 71 % do (exact, 95 %).",
    )
    assert [text for text in texts if text not in found] == []


def test_the_number_of_another_store_is_reproduced_from_there(tmp_path: Path) -> None:
    writing.write_report(comparison(uri="http://user:secret@host:5000"), tmp_path)
    assert "pgexp-reproduce baseline=none/CartPole-v1/0 --uri &#39;http://" in page(tmp_path)
    assert "secret" not in page(tmp_path)


def test_folders_that_no_store_knows_are_the_source(tmp_path: Path) -> None:
    writing.write_report(comparison(uri="", sweeps=[], command=""), tmp_path)
    assert "by pgexp" in page(tmp_path)
    assert "from the runs&#39; folders." in page(tmp_path)
    assert "pgexp-reproduce baseline=none/CartPole-v1/0\n" in page(tmp_path)
    assert "This report:" not in page(tmp_path)


def test_a_table_without_rows_has_no_files(tmp_path: Path) -> None:
    one = comparison(runs=pd.DataFrame(run_rows({"baseline=none": SCORES["baseline=none"]})), differences=differing())
    names = {path.name for path in writing.write_report(one, tmp_path)}
    assert "differences.md" not in names
    assert "tasks.tex" not in names


def test_a_table_over_environments_has_files_and_a_place_on_the_page(tmp_path: Path) -> None:
    rows = [{"configuration_name": "a", "environments": 2, "n": 6, "iqm": 0.5}]
    paths = writing.write_report(comparison(tasks=framed(rows, tasks.COLUMNS)), tmp_path)
    assert {"tasks.md", "tasks.tex"} < {path.name for path in paths}
    assert "Normalised score over all environments</caption>" in page(tmp_path)


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ComparisonError, match=r"file.* can't be written \(.*\): choose another with --out"):
        writing.write_report(comparison(), tmp_path / "file")
