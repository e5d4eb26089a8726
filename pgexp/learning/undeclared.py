"""Finds what a baseline keeps without declaring it, and a resumed run would lose."""

from typing import Any

from pgexp.baselines.baseline import Baseline
from pgexp.functional.trees import Tree, captured
from pgexp.learning.state import StateError


def fingerprints(baseline: Baseline) -> dict[str, str]:
    """Return what each attribute that the baseline does not declare is now, in short."""
    return {name: _print(value) for name, value in vars(baseline).items() if name not in baseline.remembered}


def require_declared(baseline: Baseline, before: dict[str, str]) -> None:
    """Raise StateError where an attribute that is not declared is no longer what it was `before` the first update."""
    changed = [name for name, now in fingerprints(baseline).items() if before.get(name) != now]
    if changed:
        declared = ", ".join(f'"{name}"' for name in (*baseline.remembered, *changed))
        raise StateError(
            f"{type(baseline).__name__} changes {', '.join(changed)} as it learns without declaring it, so that a "
            f"resumed run would lose it; add to the class: remembered = ({declared},)"
        )


def _print(value: Any) -> str:
    try:
        tree = captured(value)
    except TypeError:
        return str(id(value))  # a network, a function: another object would be a change
    return repr(_plain(tree))


def _plain(tree: Tree) -> Any:
    if isinstance(tree, dict):
        return {key: _plain(item) for key, item in tree.items()}
    if isinstance(tree, list | tuple):
        return [_plain(item) for item in tree]
    return tree.tolist() if hasattr(tree, "tolist") else tree  # the text of a long array leaves its middle out
