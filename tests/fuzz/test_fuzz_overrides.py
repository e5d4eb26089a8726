"""Whatever stands on the command line of `pgexp`: it is trained, or refused in a sentence, and leaves nothing then."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given

from pgexp.cli.train import main
from tests.fuzz.forked import answered
from tests.fuzz.overrides import command_lines
from tests.fuzz.told import contents, fuzzed, require_told


@pytest.mark.slow
@fuzzed(0.45)
@given(line=command_lines)
def test_a_command_line_is_trained_or_refused(line: list[str], untrained: None, scratch: Path) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        answer = answered(main, scratch, folder, "pgexp", *line)
        require_told(answer, "pgexp")
        assert answer.code == 0 or contents(folder) == {}
