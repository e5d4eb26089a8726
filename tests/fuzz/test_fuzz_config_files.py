"""Config files of any content: the option is trained, or refused without leaving files."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given

from pgexp.cli.train import main
from tests.fuzz.config_files import Place, config_files
from tests.fuzz.forked import run_in_fork
from tests.fuzz.outcomes import contents, fuzzed, require_handled


@pytest.mark.slow
@fuzzed(0.2)
@given(found=config_files)
def test_a_config_file_is_trained_or_refused(found: tuple[str, Place], untrained: None, scratch: Path) -> None:
    group, place = found
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conf" / group).mkdir(parents=True)
        place(folder / "conf" / group / "mine.yaml")
        before = contents(folder)
        answer = run_in_fork(main, scratch, folder, "pgexp", "--config-dir", "conf", f"{group}=mine")
        require_handled(answer, "pgexp")
        assert answer.code == 0 or contents(folder) == before
