"""Report: page, files, provenance and its log in MLflow."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from pgexp.comparison import across_environments
from pgexp.comparison.report import report as report_module
from pgexp.comparison.report.figures import ReportFigure
from pgexp.comparison.report.report import (
    Page,
    Picture,
    Provenance,
    _data_url,
    html,
    log_report,
    provenances,
    write_report,
)
from pgexp.comparison.report.tables import TextTable
from pgexp.schema.errors import UserError
from pgexp.schema.names import PROVENANCE_FOLDER
from pgexp.tracking.artifacts import find_sweep_run
from tests.comparison.recorded_store import RecordedStore
from tests.comparison.report.report_inputs import SCORES, comparison, differing, framed, run_rows

PROVENANCE = Provenance(
    *(6, "an id", "pgexp -m baseline=none,mean", "2026-01-02T03:04:05+00:00", "c0de", "f" * 40, True),
    *("0123", "torch 2.13", "4567", "a machine"),
)


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace drawing, which takes seconds."""

    def draw_figures(_: object, factors: list[str], folder: Path) -> list[ReportFigure]:
        paths = [folder / name for name in ("a.png", "a.svg", "a-narrow.svg", "a.csv")]
        folder.mkdir(exist_ok=True)
        for path in paths:
            path.write_text(f"<svg>{factors}</svg>")
        return [ReportFigure("A caption.", "In words.", paths)]

    monkeypatch.setattr(report_module, "draw_figures", draw_figures)
    monkeypatch.setattr(report_module, "provenances", lambda *_: [PROVENANCE])


def page_text(folder: Path) -> str:
    return (folder / "report.html").read_text()


def test_page_tables_and_figures_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    paths = write_report(comparison(), folder)
    assert [path.name for path in paths] == [
        *("report.html", "summary.md", "summary.tex", "differences.md", "differences.tex"),
        *("a.png", "a.svg", "a-narrow.svg", "a.csv"),
    ]
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted(paths)
    assert {path.parent.relative_to(folder).as_posix(): path.suffix for path in paths[1:5]} == {"tables": ".tex"}
    assert {path.parent for path in paths[5:]} == {folder / "figures"}


def test_question_of_the_page(tmp_path: Path) -> None:
    write_report(comparison(), tmp_path)
    assert "<h1>How does baseline (mean, none) affect the final return on CartPole-v1?</h1>" in page_text(tmp_path)
    write_report(comparison(), tmp_path, "Is <it> better?")
    assert "<h1>Is &lt;it&gt; better?</h1>" in page_text(tmp_path)


def test_content_of_the_page(tmp_path: Path) -> None:
    write_report(comparison(notes=["A note on <this>."]), tmp_path)
    found = page_text(tmp_path)
    texts = (
        "baseline=mean beats baseline=none.",
        "from sweep s1 in sqlite:///",
        "Test of the difference of the mean final returns: paired t test.",
        "<dt>Budget</dt><dd>20,000 environment steps per run</dd>",
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
        "since no run recorded them; diagnostics=full does.",
        "No run failed or collapsed; with 3 seeds, a share of up to 71 % is possible (exact, 95 %).",
    )
    assert [text for text in texts if text not in found] == []


def test_reproduction_from_another_store(tmp_path: Path) -> None:
    write_report(comparison(uri="http://user:secret@host:5000"), tmp_path)
    assert "pgexp-reproduce baseline=none/CartPole-v1/0 --uri &#39;http://" in page_text(tmp_path)
    assert "secret" not in page_text(tmp_path)


def test_report_of_folders_without_a_store(tmp_path: Path) -> None:
    write_report(comparison(uri="", sweeps=[], command=""), tmp_path)
    assert "by pgexp" in page_text(tmp_path)
    assert "from the runs&#39; folders." in page_text(tmp_path)
    assert "pgexp-reproduce baseline=none/CartPole-v1/0\n" in page_text(tmp_path)
    assert "This report:" not in page_text(tmp_path)


def test_empty_tables_have_no_files(tmp_path: Path) -> None:
    one = comparison(runs=pd.DataFrame(run_rows({"baseline=none": SCORES["baseline=none"]})), differences=differing())
    names = {path.name for path in write_report(one, tmp_path)}
    assert "differences.md" not in names
    assert "environments.tex" not in names


def test_table_across_environments(tmp_path: Path) -> None:
    rows = [{"configuration_name": "a", "environments": 2, "n": 6, "iqm": 0.5}]
    paths = write_report(comparison(environments=framed(rows, across_environments.COLUMNS)), tmp_path)
    assert {"environments.md", "environments.tex"} < {path.name for path in paths}
    assert "Normalised score over all environments</caption>" in page_text(tmp_path)


def test_an_unwritable_folder_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file \(.*\)"):
        write_report(comparison(), tmp_path / "file")


NASTY = "a<script>&\"'$_|{{ x }}"
VOID = ("meta", "source", "img")
EMPTY = TextTable("Every run", {"configuration": [], "score": []}, ("configuration",))
TABLE = TextTable("A title", {"configuration": [NASTY, "b"], "n": ["3", "4"]}, ("configuration",), [f"{NASTY} noted"])
PICTURE = Picture(
    "data:image/svg+xml;base64,AA==", "data:image/svg+xml;base64,BB==", NASTY, "What is drawn.", "curves.csv"
)
PAGE = Page(
    version="1.2.3",
    question=NASTY,
    answers=["An answer."],
    about=["Made by hand."],
    results=[TABLE],
    footnotes=["A footnote."],
    further=[replace(TABLE, title="Further")],
    figures=[PICTURE],
    missing_figures=["No figure of this."],
    methods=["A test."],
    differences=[replace(TABLE, title="Differences")],
    design=[("Factor", NASTY)],
    shared=[("optimizer", "adam")],
    notes=["A note."],
    runs=replace(TABLE, title="Every run"),
    commands=[("Do:", ["pgexp 'seed=range(3)' <again>"])],
    provenance=[("Machine", "a machine")],
)


class Elements(HTMLParser):
    """The elements of a page as (tag, attributes, own text), with a check that they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[int] = []
        self.all: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.all.append((tag, dict(attrs), ""))
        if tag not in VOID:
            self.open.append(len(self.all) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.all[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            tag, attributes, text = self.all[self.open[-1]]
            self.all[self.open[-1]] = (tag, attributes, text + data)

    def texts(self, tag: str) -> list[str]:
        return [text.strip() for name, _, text in self.all if name == tag]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.all if name == tag]


@pytest.fixture(scope="module")
def page() -> Elements:
    return Elements(html(PAGE))


def test_page_is_html_5_in_english() -> None:
    assert html(PAGE).lstrip().startswith('<!DOCTYPE html>\n<html lang="en">')


def test_names_are_escaped(page: Elements) -> None:
    assert page.texts("h1") == page.texts("title") == [NASTY]
    assert page.texts("script") == []
    assert page.texts("th").count(NASTY) == 4
    assert page.attributes("img")[0]["alt"] == NASTY
    assert NASTY in page.texts("dd")
    assert page.texts("pre") == ["pgexp 'seed=range(3)' <again>"]


def test_page_is_self_contained(page: Elements) -> None:
    names = ("src", "srcset", "href", "data", "action", "poster")
    links = [str(attributes[name]) for _, attributes, _ in page.all for name in names if name in attributes]
    assert len(links) > 3
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "url(" not in "".join(page.texts("style"))
    assert "@import" not in "".join(page.texts("style"))
    assert page.attributes("link") == []


def test_links_and_ids_of_the_page(page: Elements) -> None:
    ids = [attributes["id"] for _, attributes, _ in page.all if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = [str(a["href"]).removeprefix("#") for a in page.attributes("a")]
    used += [str(attributes["aria-labelledby"]) for _, attributes, _ in page.all if "aria-labelledby" in attributes]
    assert used
    assert set(used) <= set(ids)


def test_tables_have_captions_and_scopes(page: Elements) -> None:
    assert page.texts("caption") == ["A title", "Further", "Differences", "Every run"]
    scopes = [attributes["scope"] for attributes in page.attributes("th")]
    assert scopes == ["col", "col", "row", "row"] * 4
    assert page.texts("td") == ["3", "4"] * 4


def test_figures_are_numbered_with_their_data(page: Elements) -> None:
    assert page.texts("strong") == ["Figure 1."]
    assert page.texts("code") == ["curves.csv"]
    assert page.attributes("source")[0]["srcset"] == PICTURE.narrow


@pytest.mark.parametrize("text", ["An answer.", "Made by hand.", "No figure of this.", "A test.", "Do:"])
def test_texts_are_paragraphs(page: Elements, text: str) -> None:
    assert text in page.texts("p")


@pytest.mark.parametrize("text", ["A footnote.", "A note.", f"{NASTY} noted"])
def test_notes_are_list_items(page: Elements, text: str) -> None:
    assert text in page.texts("li")


def test_page_without_figures_and_irregularities() -> None:
    bare = Elements(html(replace(PAGE, figures=[], further=[], notes=[], runs=EMPTY)))
    assert bare.attributes("img") == []
    assert "Figures" not in bare.texts("h2") + bare.texts("a")
    assert any(text.startswith("None: every planned run") for text in bare.texts("p"))


def test_a_long_list_of_runs_is_folded() -> None:
    many = TextTable("Every run", {"configuration": ["a"] * 61}, ("configuration",))
    folded = ["open" in attributes for attributes in Elements(html(replace(PAGE, runs=many))).attributes("details")]
    assert folded == [False, False, False]
    few = ["open" in attributes for attributes in Elements(html(PAGE)).attributes("details")]
    assert few == [False, False, True]


def test_pictures_are_data_urls(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(b"<svg/>")
    assert _data_url(tmp_path / "a.svg") == "data:image/svg+xml;base64,PHN2Zy8+"


PACKAGES, LOCK = "901311df5b70", "0c030586945f"  # printf 'numpy==2\\ntorch==2.13' | sha256sum; printf lock | sha256sum


def record(folder: Path, command: str, **git: object) -> None:
    """Write the provenance of a run into its folder, as training does."""
    defaults = {
        "code": "c0de" * 16,
        "pgexp": True,
        "repository": "/r",
        "commit": "f" * 40,
        "dirty": False,
        "untracked": {},
    }
    machine = {"cpu": "a processor", "cores": 2, "platform": "Linux", "python": "3.11"}
    files = {
        "git.json": json.dumps(defaults | git),
        "packages.txt": "numpy==2\ntorch==2.13\n",
        "machine.json": json.dumps(machine),
        "origin.json": json.dumps({"command": command, "started": "2026-01-02T03:04:05+00:00", "lock": True}),
        "requirements.lock": "lock",
    }
    (folder / PROVENANCE_FOLDER).mkdir(parents=True)
    for name, text in files.items():
        (folder / PROVENANCE_FOLDER / name).write_text(text)


def test_provenance_of_a_run(tmp_path: Path) -> None:
    record(tmp_path, "pgexp -m seed='range(3)'")
    (found,) = provenances(pd.DataFrame(run_rows(SCORES, artifacts=tmp_path.as_uri())), "")
    assert found.command == "pgexp -m seed='range(3)'"
    assert (found.runs, found.run_id, found.started) == (6, "baseline=none/CartPole-v1/0", "2026-01-02T03:04:05+00:00")
    assert (found.code, found.commit, found.dirty) == ("c0de" * 3, "f" * 40, False)
    assert (found.packages, found.lock, found.versions) == (PACKAGES, LOCK, "torch 2.13, numpy 2")
    assert found.machine == "a processor, 2 cores, Linux, Python 3.11"


def test_provenance_per_sweep_and_version_of_the_code(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        record(tmp_path / name, f"command {name}", commit=None)
    rows = [
        *run_rows({"x": (1.0,)}, artifacts=str(tmp_path / "a")),
        *run_rows({"x": (1.0, 2.0)}, artifacts=str(tmp_path / "b"), code="beef" * 16),
        *run_rows({"x": (1.0, 2.0, 3.0)}, artifacts=str(tmp_path / "c"), sweep=None),
    ]
    found = provenances(pd.DataFrame(rows), "")
    assert [(provenance.command, provenance.runs) for provenance in found] == [
        ("command c", 3),
        ("command b", 2),
        ("command a", 1),
    ]
    assert found[0].commit == ""


def test_provenance_skips_runs_without_a_record(tmp_path: Path) -> None:
    record(tmp_path, "command")
    rows = run_rows({"x": (1.0, 2.0)}, artifacts=str(tmp_path))
    rows[0]["artifacts"] = str(tmp_path / "lost")
    assert [provenance.command for provenance in provenances(pd.DataFrame(rows), "")] == ["command"]
    assert provenances(pd.DataFrame(rows[:1]), "") == []


class Client:
    """A store with the files of a folder as artifacts of every run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def download_artifacts(self, run_id: str, path: str, target: str) -> None:
        assert run_id == "x/CartPole-v1/0"
        shutil.copytree(self._folder / path, Path(target) / path)

    def get_run(self, run_id: str) -> object:
        return SimpleNamespace(data=SimpleNamespace(tags={}))


def test_provenance_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, "far away")
    monkeypatch.setattr("pgexp.comparison.report.report.open_store", lambda _: nullcontext(Client(tmp_path)))
    rows = run_rows({"x": (1.0,)}, artifacts="mlflow-artifacts:/1")
    assert [provenance.command for provenance in provenances(pd.DataFrame(rows), "http://there")] == ["far away"]


NAMES = ("report.html", "summary.csv", "metrics.parquet")


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(f"first {name}")
    return folder


def logged(store: RecordedStore, sweep: str) -> dict[str, str]:
    """Return the texts of a sweep's artifacts in comparison/, by name."""
    run = find_sweep_run(store.client, sweep)
    assert run is not None
    paths = [artifact.path for artifact in store.client.list_artifacts(run.info.run_id, "comparison")]
    return {path: Path(store.client.download_artifacts(run.info.run_id, path)).read_text() for path in paths}


@pytest.mark.parametrize("is_local", [True, False])
def test_a_logged_report_replaces_the_one_before(
    store: RecordedStore, report: Path, monkeypatch: pytest.MonkeyPatch, is_local: bool
) -> None:
    if not is_local:  # as for artifacts on another machine
        monkeypatch.setattr("pgexp.tracking.artifacts.local_folder", lambda _: None)
    for sweep in ("s1", "s2", "other"):
        store.sweep(sweep)
    made = comparison(uri=store.uri, sweeps=["s1", "s2", "other"])
    message = log_report(made, ["s1", "s2"], report, [report / name for name in NAMES])
    assert message == "Logged as artifacts in comparison/ of the run of sweep s1, s2."
    first = {f"comparison/{name}": f"first {name}" for name in NAMES[:2]}
    assert logged(store, "s1") == logged(store, "s2") == first
    assert logged(store, "other") == {}
    (report / "report.html").write_text("second")
    log_report(made, ["s1", "s2"], report, [report / "report.html"])
    assert logged(store, "s1") == {"comparison/report.html": "second"}


def test_sweeps_missing_in_the_store_are_named(store: RecordedStore, report: Path) -> None:
    store.sweep("s1")
    message = log_report(comparison(uri=store.uri), ["s1", "gone"], report, [report / "report.html"])
    assert "of the run of sweep s1." in message
    assert "Not logged for sweep gone" in message


def test_no_log_without_a_sweep_or_a_store(report: Path) -> None:
    message = log_report(comparison(), [], report, [report / "report.html"])
    assert "name a sweep" in message
    message = log_report(comparison(uri=""), ["s1"], report, [report / "report.html"])
    assert "no store" in message


def test_folders_become_artifact_folders(store: RecordedStore, report: Path) -> None:
    store.sweep("s1")
    (report / "figures").mkdir()
    (report / "figures" / "a.csv").write_text("drawn")
    log_report(comparison(uri=store.uri), ["s1"], report, [report / "report.html", report / "figures" / "a.csv"])
    run = find_sweep_run(store.client, "s1")
    assert run is not None
    copy = store.client.download_artifacts(run.info.run_id, "comparison/figures/a.csv")
    assert Path(copy).read_text() == "drawn"


def test_an_unwritable_store_is_rejected(store: RecordedStore, report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.sweep("s1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pgexp.tracking.artifacts.copy_file", full)
    with pytest.raises(UserError, match=r"cannot log the report in .*No space left"):
        log_report(comparison(uri=store.uri), ["s1"], report, [report / "report.html"])
    assert (report / "report.html").read_text() == "first report.html"
