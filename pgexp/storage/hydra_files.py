"""The files that Hydra writes before a job is known, freed from secrets."""

from pathlib import Path
from typing import Any

import yaml

from pgexp.storage.files import write_text
from pgexp.storage.secrets import mask_text, masked

_WRITTEN = (".hydra/*.yaml", "multirun.yaml")


def mask_hydra_files(folder: Path) -> None:
    """Mask the secrets in what Hydra wrote into a job's or a sweep's folder; a file without any stays as it is."""
    for path in sorted(found for pattern in _WRITTEN for found in folder.glob(pattern)):
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        safe = _overrides(given) if isinstance(given, list) else _masked(given)
        if safe != given:
            write_text(path, yaml.safe_dump(safe, sort_keys=False, allow_unicode=True))


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
