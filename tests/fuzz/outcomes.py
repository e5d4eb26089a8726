"""Properties of every input, and the number of examples: about 80, or PGEXP_FUZZ_EXAMPLES."""

import os
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings

from tests.cli.console import Answer

EXAMPLES = int(os.environ.get("PGEXP_FUZZ_EXAMPLES", "80"))


def fuzzed(share: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the settings of a test with a share of the examples, which are the same each time."""
    allowed = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    return settings(
        max_examples=round(EXAMPLES * share),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=allowed,
    )


def require_handled(answer: Answer, command: str) -> None:
    """Require exit code 0, or exit code 2 and one printable line per problem."""
    assert answer.code in (0, 2), answer
    assert "Traceback" not in answer.err + answer.out
    if answer.code:
        usage = answer.err.partition(f"{command}: error: ")[2] if answer.err.startswith("usage: ") else ""  # argparse's
        for line in (answer.err if not usage else f"{command}: {usage!r}\n").removesuffix("\n").split("\n"):
            assert line.startswith(f"{command}: "), answer
            assert line.isprintable(), answer
            assert len(line) > len(f"{command}: x: ")


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return a folder's files and their bytes, with None for folders and links."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in sorted(folder.rglob("*"))
    }
