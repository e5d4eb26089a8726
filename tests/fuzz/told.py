"""What holds of every input, and how many are tried: some 80, or as many as PGEXP_FUZZ_EXAMPLES says."""

import os
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings

from tests.cli.console import Answer

EXAMPLES = int(os.environ.get("PGEXP_FUZZ_EXAMPLES", "80"))


def fuzzed(share: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the settings of a test that tries a share of all inputs, the same ones each time."""
    allowed = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    return settings(
        max_examples=round(EXAMPLES * share),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=allowed,
    )


def require_told(answer: Answer, command: str) -> None:
    """Require that a command ended well, or with exit code 2 and a printable line for each thing that is wrong."""
    assert answer.code in (0, 2), answer
    assert "Traceback" not in answer.err + answer.out
    if answer.code:
        said = answer.err.partition(f"{command}: error: ")[2] if answer.err.startswith("usage: ") else ""  # argparse's
        for line in (answer.err if not said else f"{command}: {said!r}\n").removesuffix("\n").split("\n"):
            assert line.startswith(f"{command}: "), answer
            assert line.isprintable(), answer
            assert len(line) > len(f"{command}: x: ")


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return what a folder holds: each file's bytes, None for a folder or a link."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in sorted(folder.rglob("*"))
    }
