"""Digests of short trainings, compared with those of the claim (`analysis/bits/expected.json`)."""

import json
import platform
from pathlib import Path

import pytest

from analysis.bits.trainings import CASES, digest
from pgexp.schema.determinism import nondeterminism_reason
from tests.tiers import tiered

EXPECTED: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parents[2] / "analysis" / "bits" / "expected.json").read_text()
)
LIBRARY = " ".join(platform.libc_ver())
# The fast tier has a value network, own dynamics, recurrence, a stepped environment, and a head without a kernel.
FAST = ("gaussian, value", "bernoulli", "lstm, shared value", "stepped environment", "beta")


@pytest.mark.parametrize("case", tiered(CASES, lambda case: case in FAST))
def test_the_bits_are_the_expected_ones(case: str) -> None:
    if (reason := nondeterminism_reason()) is not None:
        pytest.skip(f"no digests are compared: {reason}")
    if LIBRARY not in EXPECTED:
        pytest.skip(f"no digests are compared: they were recorded with {', '.join(EXPECTED)}, and this is {LIBRARY}")
    assert digest(case) == EXPECTED[LIBRARY][case]


@pytest.mark.parametrize("library", EXPECTED)
def test_each_case_has_a_digest_of_its_own(library: str) -> None:
    assert EXPECTED[library].keys() == CASES.keys()
    assert len(set(EXPECTED[library].values())) == len(CASES)
