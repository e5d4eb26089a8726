"""Which extra of the package brings what an environment lacks."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Final

EXTRAS: Final[Mapping[str, str]] = {
    "Box2D": "box2d",
    "mujoco": "mujoco",
    "imageio": "mujoco",
    "ale_py": "atari",
    "cv2": "atari",
}

_ATARI: Final = "ALE/"


def lacking(what: str, error: BaseException) -> str | None:
    """Return a sentence that names the extra without which an environment or a wrapper could not be made, or None."""
    missing = {name.partition(".")[0] for name in _modules(error)}
    if what.startswith(_ATARI) and find_spec("ale_py") is None:
        missing.add("ale_py")
    for module, extra in EXTRAS.items():
        if module in missing:
            return f"{what} needs {module}, an extra of the package: pip install 'pgexp[{extra}]'"
    return None


def unregistered(env_id: str) -> str:
    """Return `` Write module:Id.`` for an unknown id whose package is known, but has to be imported, or nothing."""
    return f" Write ale_py:{env_id}." if env_id.startswith(_ATARI) else ""


def _modules(error: BaseException | None) -> Iterator[str]:
    """Yield the modules that were not found, of an error and of those that it was raised from."""
    while error is not None:
        if isinstance(error, ImportError) and error.name:
            yield error.name
        error = error.__cause__ or error.__context__
