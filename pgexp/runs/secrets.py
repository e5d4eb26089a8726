"""Masking of secrets in texts, addresses, configs and Hydra's files, before they are written."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pgexp.runs.files import write_text

MASK: Final = "***"

_NAME = r"(?:\b|_)(?:(?:api|access|private)_?key|token|password|passwd|secret|credentials?)"
_ASSIGNED = re.compile(rf"({_NAME}|(?:\b|_)key)(s?\s*[=:]).+", re.I | re.S)
_NAMED = re.compile(rf"(?:{_NAME}|^key)s?$", re.I)
_IN_URI = re.compile(r"(://[^/\s:@]*:)[^/\s]+@")
_IN_QUERY = re.compile(rf"([?&]\w*?{_NAME}=)[^&\s]+", re.I)


def mask_text(text: str) -> str:
    """Return a text, such as a command's argument, with *** for ``token=...`` and for ``user:password@`` in a URI."""
    return mask_uri(_ASSIGNED.sub(rf"\1\2{MASK}", text))


def mask_uri(uri: str) -> str:
    """Return a URI, or a text with URIs, with *** for each password, before the host or in the query."""
    return _IN_QUERY.sub(rf"\1{MASK}", _IN_URI.sub(rf"\1{MASK}@", uri))


def masked(value: Any, key: str = "") -> Any:
    """Return a config, or a part under a key, with *** for texts under the name of a secret and in URIs."""
    if isinstance(value, Mapping):
        return {name: masked(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item, key) for item in value]
    if not isinstance(value, str):
        return value
    return MASK if value and _NAMED.search(key) else mask_uri(value)


def find_masked(value: Any, key: str = "") -> list[str]:
    """Return the dotted keys of a config whose values contain masked secrets."""
    if isinstance(value, Mapping):
        return [found for name, item in value.items() for found in find_masked(item, f"{key}.{name}".lstrip("."))]
    if isinstance(value, list):
        return [found for i, item in enumerate(value) for found in find_masked(item, f"{key}[{i}]")]
    return [key] if isinstance(value, str) and MASK in value else []


def mask_hydra_files(folder: Path, subfolder: str | None) -> None:
    """Mask secrets in the files that Hydra wrote into the folder of a job or sweep. Other files stay unchanged.

    subfolder: the folder of a job's config inside the job's folder (`hydra.output_subdir`).
    """
    configs = [] if subfolder is None else sorted((folder / subfolder).glob("*.yaml"))
    for path in [*folder.glob("multirun.yaml"), *configs]:
        text = path.read_text(encoding="utf-8")
        safe = mask_yaml(text)
        if safe != text:
            write_text(path, safe)


def mask_yaml(text: str) -> str:
    """Return the text of one of Hydra's files with its secrets masked; a text without secrets is unchanged."""
    import yaml

    content = yaml.safe_load(text)
    return text if is_safe(content) else yaml.safe_dump(_without_secrets(content), sort_keys=False, allow_unicode=True)


def is_safe(content: Any) -> bool:
    """Return whether the content of one of Hydra's files has no secret."""
    return bool(_without_secrets(content) == content)


def _without_secrets(content: Any) -> Any:
    """Return a config, or a list of overrides, with its secrets masked, also in the overrides inside the config."""
    if isinstance(content, list):
        return [mask_text(item) for item in content]
    safe = masked(content)
    hydra = safe.get("hydra") if isinstance(safe, dict) else None
    if hydra:
        hydra["overrides"] = {part: [mask_text(item) for item in items] for part, items in hydra["overrides"].items()}
        hydra["job"]["override_dirname"] = mask_text(hydra["job"]["override_dirname"])
    return safe
