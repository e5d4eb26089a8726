"""The files that Hydra has in a job's folder, and in a sweep's, freed from secrets."""

from pathlib import Path
from typing import Any

import yaml

from pgexp.storage.files import write_text
from pgexp.storage.secrets import mask_text, masked


def mask_hydra_files(folder: Path, subfolder: str | None) -> None:
    """Mask the secrets in what Hydra wrote into a job's or a sweep's folder; a file without any stays as it is.

    `subfolder` is the one that a job's config is written to (`hydra.output_subdir`).
    """
    own = [] if subfolder is None else sorted((folder / subfolder).glob("*.yaml"))
    for path in [*folder.glob("multirun.yaml"), *own]:
        given = path.read_text(encoding="utf-8")
        safe = mask_yaml(given)
        if safe != given:
            write_text(path, safe)


def mask_yaml(text: str) -> str:
    """Return the text of one of Hydra's files with its secrets masked; where it holds none, it is the same."""
    given = yaml.safe_load(text)
    return text if is_safe(given) else yaml.safe_dump(_safe(given), sort_keys=False, allow_unicode=True)


def is_safe(content: Any) -> bool:
    """Return whether what is, or will be, one of Hydra's files holds no secret."""
    return bool(_safe(content) == content)


def _safe(content: Any) -> Any:
    return _overrides(content) if isinstance(content, list) else _masked(content)


def _masked(config: Any) -> Any:
    """Return a config without secrets, those among its own overrides included."""
    safe = masked(config)
    hydra = safe.get("hydra") if isinstance(safe, dict) else None
    if hydra:
        hydra["overrides"] = {part: _overrides(items) for part, items in hydra["overrides"].items()}
        hydra["job"]["override_dirname"] = mask_text(hydra["job"]["override_dirname"])
    return safe


def _overrides(items: list[str]) -> list[str]:
    return [mask_text(item) for item in items]
