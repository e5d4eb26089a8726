"""Report of a comparison: a self-contained HTML page, tables, figures, provenance, and its log in MLflow."""

import base64
import hashlib
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pandas as pd

from pgexp.comparison.comparison import FIGURES, TABLES, Comparison, writable
from pgexp.comparison.design import Design, design
from pgexp.comparison.mlflow_store import DEFAULT_URI, display_uri, open_store
from pgexp.comparison.report.figures import ReportFigure, draw_figures, missing_figures
from pgexp.comparison.report.tables import (
    TextTable,
    difference_tables,
    environments_table,
    further_tables,
    latex,
    markdown,
    run_table,
    summary_tables,
)
from pgexp.comparison.report.text import Facts, answers, design_facts, factor_texts, methods, question, shared_facts
from pgexp.comparison.table import footnotes
from pgexp.runs.files import read_json
from pgexp.schema.errors import UserError
from pgexp.schema.names import (
    COMPARISON_FOLDER,
    FINAL_RETURN,
    GIT_FILE,
    LOCK_FILE,
    MACHINE_FILE,
    ORIGIN_FILE,
    PACKAGES_FILE,
    PROVENANCE_FOLDER,
)
from pgexp.tracking.store import local_folder

PAGE: Final = "report.html"
TEMPLATE: Final = "page.html"
IMAGE_TYPES: Final = {".svg": "image/svg+xml", ".png": "image/png"}
HASH_LENGTH: Final = 12
SHOWN_PACKAGES: Final = ("torch", "numpy", "gymnasium", "mlflow")


@dataclass(frozen=True)
class Picture:
    """A figure of the page; `narrow` is the version for small screens."""

    image: str
    narrow: str
    alternative: str
    caption: str
    data: str


@dataclass(frozen=True)
class Page:
    """The content of the page as text; the template escapes it."""

    version: str
    question: str
    answers: list[str]
    about: list[str]
    results: list[TextTable]
    footnotes: list[str]
    further: list[TextTable]
    figures: list[Picture]
    missing_figures: list[str]
    methods: list[str]
    differences: list[TextTable]
    design: Facts
    shared: Facts
    notes: list[str]
    runs: TextTable
    commands: list[tuple[str, list[str]]]
    provenance: Facts


@dataclass(frozen=True)
class Provenance:
    """The provenance of the runs of one sweep and one version of the code, as the first of them recorded it."""

    runs: int
    run_id: str
    command: str  # secrets are masked
    started: str
    code: str
    commit: str  # empty without a checkout
    dirty: bool
    packages: str  # a hash of all their versions
    versions: str  # of the most important packages
    lock: str  # a hash of the lock file; empty without one
    machine: str


def write_report(comparison: Comparison, folder: Path, asked: str | None = None) -> list[Path]:
    """Write report.html, the tables and every figure that has data; return their paths, the page's first.

    `asked` is the question of the page; by default it comes from the design. Raises UserError if the folder
    cannot be written.
    """
    with writable(folder):
        found = design(comparison.runs)
        figures = list(draw_figures(comparison, list(factor_texts(found)), folder / FIGURES))
        page = _page(comparison, found, figures, asked)
        (folder / PAGE).write_text(html(page), encoding="utf-8")
        tables = _write_tables(comparison, folder / TABLES)
        return [folder / PAGE, *tables, *(path for figure in figures for path in figure.paths)]


def log_report(comparison: Comparison, sweeps: Sequence[str], folder: Path, paths: Sequence[Path]) -> str:
    """Log the files of a folder on the sweeps' MLflow runs, replacing an earlier report; return a message.

    Raw metrics are not logged, since the seed runs have them. Raises UserError if the store cannot be written;
    the files remain.
    """
    if not comparison.uri:
        return "The report is not logged in MLflow, since no store has these runs."
    if not sweeps:
        return "The report is not logged in MLflow: name a sweep, or use the newest by default."
    with open_store(comparison.uri) as client:
        from pgexp.tracking.artifacts import find_sweep_run, log_comparison
        from pgexp.tracking.client import MlflowException

        runs = {sweep: find_sweep_run(client, sweep) for sweep in sweeps}
        try:
            for run in runs.values():
                if run is not None:
                    kept = [path for path in paths if path.suffix != ".parquet"]
                    log_comparison(client, comparison.uri, run, folder, kept)
        except MlflowException as error:
            text = f"cannot log the report in {folder}: check that {display_uri(comparison.uri)} is writable ({error})"
            raise UserError.at("--report", text) from error
    logged = ", ".join(sweep for sweep, run in runs.items() if run is not None)
    missing = ", ".join(sweep for sweep, run in runs.items() if run is None)
    sentences = [f"Logged as artifacts in {COMPARISON_FOLDER}/ of the run of sweep {logged}."] if logged else []
    sentences += [f"Not logged for sweep {missing}, since the store has no run of it."] if missing else []
    return " ".join(sentences)


def html(page: Page) -> str:
    """Return the page as one HTML 5 file that needs no other file and no network."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=templates, autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.get_template(TEMPLATE).render(page=page)


def provenances(runs: pd.DataFrame, uri: str) -> list[Provenance]:
    """Return the provenances of the runs of `frames.runs`, the most runs first; none for runs without a record."""
    found = [
        provenance
        for _, rows in runs.groupby(["sweep", "code"], sort=False, dropna=False)
        for provenance in _recorded(rows, uri)
    ]
    return sorted(found, key=lambda provenance: -provenance.runs)


def _page(comparison: Comparison, found: Design, figures: list[ReportFigure], asked: str | None) -> Page:
    runs = comparison.runs
    known = provenances(runs, comparison.uri)
    where = f"sweep {', '.join(comparison.sweeps)}" if comparison.sweeps else ""
    store = (
        f"{where or 'the runs'} in {display_uri(comparison.uri)}" if comparison.uri else where or "the runs' folders"
    )
    return Page(
        version=version("pgexp"),
        question=asked or question(factor_texts(found), [str(name) for name in runs["environment"].unique()]),
        answers=answers(comparison.summary, comparison.differences),
        about=[f"Made on {datetime.now(UTC):%Y-%m-%d at %H:%M} UTC by pgexp {version('pgexp')} from {store}."],
        results=[
            replace(table, notes=[])
            for table in (*summary_tables(comparison.summary), *environments_table(comparison.environments))
        ],
        footnotes=footnotes(comparison),
        further=further_tables(comparison.summary),
        figures=[_picture(figure) for figure in figures],
        missing_figures=missing_figures(comparison),
        methods=methods(comparison.differences),
        differences=difference_tables(comparison.differences),
        design=design_facts(runs, found),
        shared=shared_facts(runs),
        notes=comparison.notes,
        runs=run_table(runs, FINAL_RETURN),
        commands=list(_commands(comparison, known)),
        provenance=[fact for provenance in known for fact in _facts(provenance)],
    )


def _write_tables(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the tables as Markdown and LaTeX; return their paths. Empty tables are not written."""
    kinds = {
        "summary": summary_tables(comparison.summary),
        "differences": difference_tables(comparison.differences),
        "environments": environments_table(comparison.environments),
    }
    folder.mkdir(exist_ok=True)
    paths = []
    for name, tables in kinds.items():
        texts = {"md": markdown(tables, comparison.command), "tex": latex(tables, name, comparison.command)}
        for kind, text in texts.items() if tables else ():
            paths.append(folder / f"{name}.{kind}")
            paths[-1].write_text(text, encoding="utf-8")
    return paths


def _picture(figure: ReportFigure) -> Picture:
    image, narrow = (_data_url(figure.file(ending)) for ending in (".svg", "-narrow.svg"))
    return Picture(image, narrow, figure.alternative, figure.caption, f"{FIGURES}/{figure.file('.csv').name}")


def _data_url(path: Path) -> str:
    return f"data:{IMAGE_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _commands(comparison: Comparison, known: Sequence[Provenance]) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands that reproduce the runs, a single run, and this report, each with a heading."""
    for commit in dict.fromkeys(provenance.commit for provenance in known):
        at = f"from a checkout of commit {commit}" if commit else "with the packages below"
        yield f"The runs, {at}:", list(dict.fromkeys(one.command for one in known if one.commit == commit))
    store = [] if comparison.uri in ("", DEFAULT_URI) else ["--uri", display_uri(comparison.uri)]
    example = str(comparison.runs["run_id"].iloc[0])
    yield (
        "Any run, by its id or folder, with a check that every number is equal, bit for bit:",
        [shlex.join(["pgexp-reproduce", example, *store])],
    )
    if comparison.command:
        yield "This report:", [comparison.command]


def _facts(provenance: Provenance) -> Facts:
    changes = " with uncommitted changes, which the runs recorded" if provenance.dirty else ""
    lock = f", lock file {provenance.lock}" if provenance.lock else ""
    return [
        (
            f"{provenance.runs} runs since {provenance.started[:10]}",
            f"code {provenance.code}, commit {provenance.commit or 'unknown'}{changes}",
        ),
        ("Packages", f"{provenance.versions}; all packages {provenance.packages}{lock}"),
        ("Machine", provenance.machine),
    ]


def _recorded(rows: pd.DataFrame, uri: str) -> Iterator[Provenance]:
    """Yield the provenance of the first run that has a record."""
    for run in rows.to_dict("records"):
        with tempfile.TemporaryDirectory() as scratch, suppress(ValueError, KeyError, OSError, UserError):
            folder = _provenance_folder(str(run["run_id"]), str(run["artifacts"]), uri, Path(scratch))
            yield _read_provenance(folder, rows)
            return


def _provenance_folder(run_id: str, artifacts: str, uri: str, scratch: Path) -> Path:
    local = local_folder(artifacts)
    if local is not None and (local / GIT_FILE).is_file():
        return local

    from pgexp.tracking.artifacts import download_provenance

    with open_store(uri) as client:
        client.download_artifacts(run_id, PROVENANCE_FOLDER, str(scratch))
        download_provenance(client, client.get_run(run_id), scratch)
    return scratch


def _read_provenance(folder: Path, rows: pd.DataFrame) -> Provenance:
    """Return the provenance in a run's files, which `runs.provenance` wrote."""
    machine, origin, git = (read_json(folder / name) for name in (MACHINE_FILE, ORIGIN_FILE, GIT_FILE))
    packages = (folder / PACKAGES_FILE).read_text(encoding="utf-8").splitlines()
    pinned = dict(package.split("==", 1) for package in packages)
    return Provenance(
        runs=len(rows),
        run_id=str(rows["run_id"].iloc[0]),
        command=str(origin["command"]),
        started=str(origin["started"]),
        code=str(git["code"])[:HASH_LENGTH],
        commit=str(git["commit"] or ""),
        dirty=bool(git["dirty"]),
        packages=_hash("\n".join(packages).encode()),
        versions=", ".join(f"{name} {pinned[name]}" for name in SHOWN_PACKAGES if name in pinned),
        lock=_hash((folder / LOCK_FILE).read_bytes()) if origin["lock"] else "",
        machine=f"{machine['cpu']}, {machine['cores']} cores, {machine['platform']}, Python {machine['python']}",
    )


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:HASH_LENGTH]
