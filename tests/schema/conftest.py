"""The default config as plain values, without Hydra."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest
import yaml

from tests.conftest import CONF

Given = Callable[..., dict[str, Any]]
DEFAULTS = {
    "env": "cartpole",
    "network": "mlp",
    "head": "auto",
    "schedule": "linear",
    "optimizer": "adam",
    "baseline": "value",
    "algorithm": "reinforce",
    "evaluation": "default",
    "tracking": "mlflow",
}


@pytest.fixture(scope="session")
def given() -> Given:
    """Return a function from changed values, by dotted key, to the changed default config."""
    root = yaml.safe_load((CONF / "config.yaml").read_text())
    shipped = {key: root[key] for key in ("seed", "dtype", "diagnostics", "budget", "checkpoint", "registry")}
    for group, option in DEFAULTS.items():
        shipped[group] = root.get(group, {}) | yaml.safe_load((CONF / group / f"{option}.yaml").read_text())

    def config(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        changed = deepcopy(shipped)
        for key, value in (changes or {}).items():
            *path, last = key.split(".")
            section = changed
            for name in path:
                section = section[name]
            section[last] = value
        return changed

    return config
