from pgexp.comparison.report.testing import words_on_tests
from tests.comparison.report.made import PAIR, difference_row, differing


def told(*rows: dict[str, object]) -> str:
    return " ".join(words_on_tests(differing(*rows)))


def test_nothing_compared_is_said() -> None:
    assert words_on_tests(differing()) == [
        "Nothing is compared: no two configurations of one environment have a score."
    ]


def test_a_paired_test_is_named_with_its_reason() -> None:
    assert told(PAIR).startswith(
        "Test of the difference in the mean final return: paired t test. Seeds are paired: both"
    )
    assert "On CartPole-v1 there is one test, which needs no correction." in told(PAIR)


def test_several_tests_are_told_apart_and_corrected_together() -> None:
    both = {"family": 2, "p": 0.1}
    rows = [difference_row("b", "a", **both), difference_row("c", "a", **both, paired=False, test="Welch's t test")]
    text = told(*rows)
    assert ": paired t test (1 of 2 differences). Seeds are paired" in text
    assert ": Welch's t test (1 of 2 differences). Seeds are not paired" in text
    assert "On CartPole-v1, p (Holm) is corrected for 2 tests by the method of Holm 1979." in text


def test_a_family_of_tests_that_are_not_all_shown_is_explained() -> None:
    assert "for 10 tests by the method of Holm 1979; of these, 1 are shown" in told(PAIR | {"family": 10})


def test_pairs_that_no_test_was_put_to_are_not_of_the_family() -> None:
    alone = difference_row("c", "a", n=1, n_reference=1, family=0)
    assert "Holm 1979" not in told(alone)
    assert "there is one test, which needs no correction" in told(PAIR, alone | {"family": 1})


def test_power_is_told_by_published_numbers() -> None:
    # Cohen 1988, table 2.4.1: 17 a group for d = 1, two-sided .05, power .8; 26 for d = .8 detect d = .8.
    text = told(difference_row("b", "a", n=26, n_reference=26, paired=False))
    assert (
        "With 26 seeds each, an uncorrected test shows a difference of 0.8 standard deviations (of the scores)" in text
    )
    assert "with power .8; a difference of one standard deviation takes 17 seeds each." in text


def test_one_seed_has_no_power_and_its_caveat_is_told_once() -> None:
    row = difference_row("b", "a", n=1, n_reference=1, test="", caveat="One seed says nothing.")
    text = told(row, row | {"configuration_name": "c"})
    assert "power" not in text
    assert text.count("One seed says nothing.") == 1
    assert "final return: none." in text
