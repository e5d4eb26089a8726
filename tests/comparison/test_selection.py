import pandas as pd
import pytest

from pgexp.comparison.selection import find_sweep
from pgexp.comparison.store import ComparisonError

KNOWN = pd.DataFrame({"sweep": ["3f9c2ab1", "3f9c77e0", "c0ffee12", "3f"]})


def test_an_id_means_itself_even_where_others_begin_so() -> None:
    assert find_sweep("3f", KNOWN) == "3f"


def test_the_beginning_of_one_id_means_that() -> None:
    assert find_sweep("3f9c2", KNOWN) == "3f9c2ab1"


def test_the_beginning_of_two_ids_is_refused_with_both() -> None:
    with pytest.raises(ComparisonError, match=r"2 sweeps begin with '3f9c': write more of 3f9c2ab1, 3f9c77e0"):
        find_sweep("3f9c", KNOWN)


def test_an_unknown_id_is_refused_with_the_nearest() -> None:
    with pytest.raises(ComparisonError, match="no sweep 'coffee12': the nearest here are c0ffee12"):
        find_sweep("coffee12", KNOWN)


def test_a_store_without_sweeps_says_so() -> None:
    with pytest.raises(ComparisonError, match="the store holds none"):
        find_sweep("3f", KNOWN.iloc[:0])
