"""Secrets: what looks like one is masked before it is written anywhere."""

import re
from collections.abc import Mapping
from typing import Any, Final

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
    """Return a URI, or a text that holds some, with *** for each password, before the host or in the query."""
    return _IN_QUERY.sub(rf"\1{MASK}", _IN_URI.sub(rf"\1{MASK}@", uri))


def masked(value: Any, key: str = "") -> Any:
    """Return a config's part, plain mappings and values, with *** for texts under a secret's name or in a URI."""
    if isinstance(value, Mapping):
        return {name: masked(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item, key) for item in value]
    if not isinstance(value, str):
        return value
    return MASK if value and _NAMED.search(key) else mask_uri(value)


def find_masked(value: Any, key: str = "") -> list[str]:
    """Return the dotted keys of a config's part under which a secret was masked."""
    if isinstance(value, Mapping):
        return [found for name, item in value.items() for found in find_masked(item, f"{key}.{name}".lstrip("."))]
    if isinstance(value, list):
        return [found for i, item in enumerate(value) for found in find_masked(item, f"{key}[{i}]")]
    return [key] if isinstance(value, str) and MASK in value else []
