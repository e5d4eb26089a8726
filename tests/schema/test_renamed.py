"""Hints for config keys of earlier versions."""

import pytest
import yaml

from pgexp.schema.errors import unknown_key
from pgexp.schema.renamed import RENAMED
from tests.conftest import CONF


def test_the_error_of_an_old_key_names_the_new_one() -> None:
    problem = unknown_key("algorithm.credit", "total_return", ["gamma", "return_type"])
    assert problem.key == "algorithm.credit"
    assert "It was renamed to 'algorithm.return_type'." in problem.text


def test_the_error_of_a_removed_key_says_so() -> None:
    assert "It was removed." in unknown_key("sweep.memory", 1, ["fail_fast"]).text


def test_the_error_of_a_misspelt_key_names_the_nearest() -> None:
    assert "Did you mean 'gamma'?" in unknown_key("algorithm.gama", 1, ["gamma"]).text


@pytest.mark.parametrize("old", [key for key in RENAMED if key.partition(".")[0] in ("algorithm", "baseline")])
def test_new_keys_exist_and_old_ones_do_not(old: str) -> None:
    group, _, name = old.partition(".")
    known: set[str] = set()
    for path in (CONF / group).glob("*.yaml"):
        known |= yaml.safe_load(path.read_text()).keys()
    assert name not in known
    assert RENAMED[old].partition(".")[2] in known
