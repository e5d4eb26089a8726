"""Command lines of any content: the run is trained, or refused without leaving files."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given

from pgexp.cli.train import main
from tests.fuzz.forked import run_in_fork
from tests.fuzz.outcomes import contents, fuzzed, require_handled
from tests.fuzz.overrides import command_lines


@pytest.mark.slow
@fuzzed(0.45)
@given(line=command_lines)
def test_a_command_line_is_trained_or_refused(line: list[str], untrained: None, scratch: Path) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        answer = run_in_fork(main, scratch, folder, "pgexp", *line)
        require_handled(answer, "pgexp")
        assert answer.code == 0 or contents(folder) == {}
