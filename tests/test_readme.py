"""README's copy of the algorithm."""

import inspect
import textwrap
from pathlib import Path

from pgexp.algorithms.reinforce import Reinforce

README = Path(__file__).parent.parent / "README.md"


def test_readme_shows_the_update_as_it_is() -> None:
    assert textwrap.dedent(inspect.getsource(Reinforce.update)).rstrip() in README.read_text(encoding="utf-8")
