"""Where the shipped configs stand."""

from pathlib import Path

import pgexp


def config_folder() -> Path:
    """Return the folder of the shipped configs: beside the package in a checkout, inside it when installed."""
    package = Path(pgexp.__file__).parent
    checkout = package.parent / "conf"
    return checkout if (checkout / "config.yaml").exists() else package / "conf"
