from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pgexp.comparison.report.cells import TextTable
from pgexp.comparison.report.page import Page, Picture, html, inlined

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
    undrawn=["No figure of this."],
    tests=["A test."],
    differences=[replace(TABLE, title="Differences")],
    design=[("Factor", NASTY)],
    shared=[("optimizer", "adam")],
    notes=["A note."],
    runs=replace(TABLE, title="Every run"),
    again=[("Do:", ["pgexp 'seed=range(3)' <again>"])],
    origins=[("Machine", "a machine")],
)


class Elements(HTMLParser):
    """The elements of a page as (tag, attributes, text directly inside); an error where one is not closed in order."""

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


def test_the_page_is_html_5_in_english() -> None:
    assert html(PAGE).lstrip().startswith('<!DOCTYPE html>\n<html lang="en">')


def test_whatever_names_hold_stands_as_text(page: Elements) -> None:
    assert page.texts("h1") == page.texts("title") == [NASTY]
    assert page.texts("script") == []
    assert page.texts("th").count(NASTY) == 4
    assert page.attributes("img")[0]["alt"] == NASTY
    assert NASTY in page.texts("dd")
    assert page.texts("pre") == ["pgexp 'seed=range(3)' <again>"]


def test_the_page_needs_no_other_file_and_no_network(page: Elements) -> None:
    names = ("src", "srcset", "href", "data", "action", "poster")
    links = [str(attributes[name]) for _, attributes, _ in page.all for name in names if name in attributes]
    assert len(links) > 3
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "url(" not in "".join(page.texts("style"))
    assert "@import" not in "".join(page.texts("style"))
    assert page.attributes("link") == []


def test_links_within_the_page_lead_somewhere_and_ids_are_unique(page: Elements) -> None:
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


def test_a_figure_is_numbered_and_names_its_data(page: Elements) -> None:
    assert page.texts("strong") == ["Figure 1."]
    assert page.texts("code") == ["curves.csv"]
    assert page.attributes("source")[0]["srcset"] == PICTURE.narrow


@pytest.mark.parametrize("text", ["An answer.", "Made by hand.", "No figure of this.", "A test.", "Do:"])
def test_each_text_is_a_paragraph(page: Elements, text: str) -> None:
    assert text in page.texts("p")


@pytest.mark.parametrize("text", ["A footnote.", "A note.", f"{NASTY} noted"])
def test_each_note_is_an_item(page: Elements, text: str) -> None:
    assert text in page.texts("li")


def test_a_page_without_figures_or_irregularities_says_so() -> None:
    bare = Elements(html(replace(PAGE, figures=[], further=[], notes=[], runs=EMPTY)))
    assert bare.attributes("img") == []
    assert "Figures" not in bare.texts("h2") + bare.texts("a")
    assert any(text.startswith("Nothing: every run") for text in bare.texts("p"))


def test_a_long_list_of_runs_is_folded() -> None:
    many = TextTable("Every run", {"configuration": ["a"] * 61}, ("configuration",))
    folded = ["open" in attributes for attributes in Elements(html(replace(PAGE, runs=many))).attributes("details")]
    assert folded == [False, False, False]
    few = ["open" in attributes for attributes in Elements(html(PAGE)).attributes("details")]
    assert few == [False, False, True]


def test_a_picture_is_put_into_its_address(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(b"<svg/>")
    assert inlined(tmp_path / "a.svg") == "data:image/svg+xml;base64,PHN2Zy8+"
