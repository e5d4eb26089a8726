"""The report as files: the page, below tables/ its tables as Markdown and LaTeX, and below figures/ its figures."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from pgexp.comparison.comparing import Comparison
from pgexp.comparison.design import Design, design
from pgexp.comparison.footnotes import footnotes
from pgexp.comparison.report import tables
from pgexp.comparison.report.answer import answers, question
from pgexp.comparison.report.cells import TextTable
from pgexp.comparison.report.drawing import Drawing, drawings, undrawn
from pgexp.comparison.report.latex import latex
from pgexp.comparison.report.markdown import markdown
from pgexp.comparison.report.origins import Origin, origins
from pgexp.comparison.report.page import Facts, Page, Picture, html, inlined
from pgexp.comparison.report.setting import design_facts, named_factors, shared_facts
from pgexp.comparison.report.testing import words_on_tests
from pgexp.comparison.store import DEFAULT_URI, ComparisonError, shown
from pgexp.comparison.writing import FIGURES, TABLES
from pgexp.schema.names import FINAL_RETURN

PAGE: Final = "report.html"


def write_report(comparison: Comparison, folder: Path, asked: str | None = None) -> list[Path]:
    """Write report.html, the tables and every figure that there is data for; return their paths, the page's first.

    `asked` is the question that the page answers; without it, it is the one that the design asks. ComparisonError
    where the folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = design(comparison.runs)
        drawn = list(drawings(comparison, list(named_factors(found)), folder / FIGURES))
        page = _page(comparison, found, drawn, asked)
        (folder / PAGE).write_text(html(page), encoding="utf-8")
        figures = [path for drawing in drawn for path in drawing.paths]
        return [folder / PAGE, *_tables(comparison, folder / TABLES), *figures]
    except OSError as error:
        raise ComparisonError(f"{folder} can't be written ({error.strerror}): choose another with --out") from error


def _page(comparison: Comparison, found: Design, drawn: list[Drawing], asked: str | None) -> Page:
    runs, made = comparison.runs, datetime.now(UTC)
    environments = [str(name) for name in runs["environment"].unique()]
    known = origins(runs, comparison.uri)
    return Page(
        version=version("pgexp"),
        question=asked or question(named_factors(found), environments),
        answers=answers(comparison.summary, comparison.differences),
        about=[f"Made on {made:%Y-%m-%d at %H:%M} UTC by pgexp {version('pgexp')} from {_source(comparison)}."],
        results=[replace(table, notes=[]) for table in _results(comparison)],
        footnotes=footnotes(comparison),
        further=tables.further_tables(comparison.summary),
        figures=[_picture(drawing) for drawing in drawn],
        undrawn=undrawn(comparison),
        tests=words_on_tests(comparison.differences),
        differences=tables.difference_tables(comparison.differences),
        design=design_facts(runs, found),
        shared=shared_facts(runs),
        notes=comparison.notes,
        runs=tables.run_table(runs, FINAL_RETURN),
        again=list(_again(comparison, known)),
        origins=[fact for origin in known for fact in _facts(origin)],
    )


def _results(comparison: Comparison) -> list[TextTable]:
    return [*tables.summary_tables(comparison.summary), *tables.task_tables(comparison.tasks)]


def _tables(comparison: Comparison, folder: Path) -> Iterator[Path]:
    """Write the tables as Markdown and LaTeX and yield their paths; a kind that has no rows has no files."""
    kinds = {
        "summary": tables.summary_tables(comparison.summary),
        "differences": tables.difference_tables(comparison.differences),
        "tasks": tables.task_tables(comparison.tasks),
    }
    folder.mkdir(exist_ok=True)
    for name, some in kinds.items():
        texts = {"md": markdown(some, comparison.command), "tex": latex(some, name, comparison.command)}
        for kind, text in texts.items() if some else ():
            path = folder / f"{name}.{kind}"
            path.write_text(text, encoding="utf-8")
            yield path


def _picture(drawing: Drawing) -> Picture:
    image, narrow, data = (drawing.file(ending) for ending in (".svg", "-narrow.svg", ".csv"))
    return Picture(inlined(image), inlined(narrow), drawing.alternative, drawing.caption, f"{FIGURES}/{data.name}")


def _source(comparison: Comparison) -> str:
    """Return where the runs were found."""
    which = f"sweep {', '.join(comparison.sweeps)}" if comparison.sweeps else ""
    if not comparison.uri:
        return which or "the runs' folders"
    return f"{which or 'the runs'} in {shown(comparison.uri)}"


def _again(comparison: Comparison, known: Sequence[Origin]) -> Iterator[tuple[str, list[str]]]:
    """Yield what makes the runs, any number and this report once more, each with its commands."""
    for commit in dict.fromkeys(origin.commit for origin in known):
        at = f"from a checkout of commit {commit}" if commit else "with the packages named below"
        yield f"The runs, {at}:", list(dict.fromkeys(one.command for one in known if one.commit == commit))
    store = [] if comparison.uri in ("", DEFAULT_URI) else ["--uri", shown(comparison.uri)]
    example = str(comparison.runs["run_id"].iloc[0])
    yield (
        "Any run, by its id or folder, and whether every number is the same, bit for bit:",
        [shlex.join(["pgexp-reproduce", example, *store])],
    )
    if comparison.command:
        yield "This report:", [comparison.command]


def _facts(origin: Origin) -> Facts:
    changed = " with uncommitted changes, which the runs recorded" if origin.dirty else ""
    packages = f"{origin.versions}; all packages {origin.packages}" + (
        f", lock file {origin.lock}" if origin.lock else ""
    )
    return [
        (
            f"{origin.runs} runs since {origin.started[:10]}",
            f"code {origin.code}, commit {origin.commit or 'unknown'}{changed}",
        ),
        ("Packages", packages),
        ("Machine", origin.machine),
    ]
