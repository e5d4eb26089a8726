"""Tells the user what went wrong, a line each, on standard error."""

import sys
from typing import NoReturn

from rich.console import Console

from pgexp.schema.errors import ConfigError

MISTAKE = 2  # the exit code of a mistake in the command, as argparse has it


def refuse(error: ConfigError) -> NoReturn:
    """Tell every problem of a config, and exit."""
    for problem in error.problems:
        tell(str(problem))
    sys.exit(MISTAKE)


def tell(text: str) -> None:
    """Print a line."""
    Console(stderr=True, emoji=False).print(f"pgexp: {text}", markup=False, highlight=False, soft_wrap=True)
