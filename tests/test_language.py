"""Docstrings, comments and messages without phrases of an old, hard-to-read dialect, see CONTRIBUTING.md."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Phrases that have a plain replacement and do not occur otherwise.
PHRASES = (
    r"is told|are told|told (?:of|by|in|with|apart)|tells? (?:of|apart|how|what|who|whether)",
    r"stands? (?:in|for|above|below|at|here|there|alone)|where (?:it|they) stands?|how (?:it|they) stands?",
    r"comes? to (?:an|its|their|more|nothing|now)|what comes of|came of",
    r"held (?:against|to)|holds? (?:against|up)",
    r"goes on|go on|going on|went on",
    r"gets on|got on|lets? go",
    r"anew",
    r"(?:it|which|that|what|he|who) (?:is|are) no (?!longer\b|more\b)",
    r"a run of that|nobody|somebody",
    r"beside",
    r"can't|isn't|doesn't",
    r"of a user's own|of its own accord|of one's own",
)
PATTERN = re.compile(rf"\b(?:{'|'.join(PHRASES)})\b", re.IGNORECASE)


def python_texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each comment and string, docstrings and parts of f-strings included."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def hits(path: Path) -> list[str]:
    """Return the phrases in a file, each with its place."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        texts = python_texts(source)
    else:
        lines = enumerate(source.splitlines(), 1)
        texts = ((number, line.partition("#")[2]) for number, line in lines)
    return [
        f"{path.relative_to(ROOT)}:{line}: {found[0]!r}"
        for line, text in texts
        for found in PATTERN.finditer(" ".join(text.split()))
    ]


FOLDERS = ["conf", "hydra_plugins", *sorted(f"pgexp/{path.parent.name}" for path in ROOT.glob("pgexp/*/__init__.py"))]


@pytest.mark.parametrize("folder", FOLDERS)
def test_plain_english(folder: str) -> None:
    paths = [path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".py", ".yaml", ".html")]
    assert paths
    assert [hit for path in paths for hit in hits(path)] == []


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("What each job is told of.", True),
        ("The tag stands in the table.", True),
        ("A run goes on after a kill.", True),
        ("Train the run anew.", True),
        ("a path that is no folder", True),
        ("it is no longer trained", False),
        ("a standard library", False),
        ("Resume the run.", False),
    ],
)
def test_the_pattern(text: str, is_found: bool) -> None:
    assert bool(PATTERN.search(text)) == is_found
