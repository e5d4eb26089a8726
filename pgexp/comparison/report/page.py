"""The page of a report: one HTML file that needs no other, and no network."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgexp.comparison.report.cells import TextTable

TEMPLATE: Final = "page.html"
KINDS: Final = {".svg": "image/svg+xml", ".png": "image/png"}
Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it; narrow is drawn for a small screen."""

    image: str
    narrow: str
    alternative: str
    caption: str
    data: str


@dataclass(frozen=True)
class Page:
    """What stands on the page, as text; the template escapes it."""

    version: str
    question: str
    answers: list[str]
    about: list[str]
    results: list[TextTable]
    footnotes: list[str]
    further: list[TextTable]
    figures: list[Picture]
    undrawn: list[str]
    tests: list[str]
    differences: list[TextTable]
    design: Facts
    shared: Facts
    notes: list[str]
    runs: TextTable
    again: list[tuple[str, list[str]]]
    origins: Facts


def html(page: Page) -> str:
    """Return the page as HTML 5."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=templates, autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.get_template(TEMPLATE).render(page=page)


def inlined(path: Path) -> str:
    """Return a picture as an address that holds it."""
    return f"data:{KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
