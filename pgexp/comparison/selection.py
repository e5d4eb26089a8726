"""Which sweep is meant."""

from difflib import get_close_matches

import pandas as pd

from pgexp.comparison.store import ComparisonError


def find_sweep(text: str, known: pd.DataFrame) -> str:
    """Return the sweep whose id is the text, or alone begins with it; else raise ComparisonError.

    known holds the store's sweeps, as `frames.sweeps` returns them.
    """
    ids = [str(sweep) for sweep in known["sweep"]]
    matches = [text] if text in ids else [sweep for sweep in ids if sweep.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ComparisonError(f"{len(matches)} sweeps begin with {text!r}: write more of {_listed(matches)}")
    if not ids:
        raise ComparisonError(f"there is no sweep {text!r}: the store holds none")
    nearest = get_close_matches(text, ids, n=3, cutoff=0)
    raise ComparisonError(f"there is no sweep {text!r}: the nearest here are {_listed(nearest)}")


def _listed(sweeps: list[str]) -> str:
    return ", ".join(sweeps[:3]) + (", ..." if len(sweeps) > 3 else "")
