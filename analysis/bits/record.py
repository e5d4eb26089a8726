"""Recorder of the golden digests for this machine's C library.

    python -m analysis.bits.record

It rewrites `expected.json`. Run it after a change that is intended to change numbers.
"""

import json
import platform
from pathlib import Path

from analysis.bits.settings import digests

EXPECTED = Path(__file__).with_name("expected.json")


def main() -> None:
    """Write the file."""
    recorded = json.loads(EXPECTED.read_text())
    recorded[" ".join(platform.libc_ver())] = digests(())
    EXPECTED.write_text(json.dumps(recorded, indent=2) + "\n")


if __name__ == "__main__":
    main()
