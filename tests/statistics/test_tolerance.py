import math

import numpy as np
import pytest

from pgexp.statistics.tolerance import tolerance_interval


def test_the_outermost_of_ten_by_hand() -> None:
    # Two order statistics hold a share of p of all scores unless fewer than two of ten lie outside it.
    found = tolerance_interval([3, 9, 1, 8, 0, 2, 7, 4, 6, 5])
    assert found is not None
    assert (found.low, found.high, found.content) == (0, 9, 0.9)
    assert found.confidence == pytest.approx(1 - 0.9**10 - 10 * 0.9**9 * 0.1)
    assert found.next_score == pytest.approx(9 / 11)


def test_wilks_s_numbers() -> None:
    # The sample sizes of Wilks 1941: 46 for a content of .9, 93 for .95, both at the level .95.
    for content, n in ((0.9, 46), (0.95, 93)):
        enough, few = (tolerance_interval(range(count), content) for count in (n, n - 1))
        assert enough is not None
        assert few is not None
        assert few.confidence < 0.95 <= enough.confidence


def test_it_is_the_narrowest_that_reaches_the_level() -> None:
    # Where a quarter is to be held by ten scores: the third and the eighth do unless fewer than 10 - 5 + 1 = 6 of ten
    # lie outside of a quarter, P(B <= 5), B binomial (10, 3/4); the fourth and the seventh, P(B <= 7).
    tail = [sum(math.comb(10, k) * 0.75**k * 0.25 ** (10 - k) for k in range(upto + 1)) for upto in (5, 7)]
    assert 1 - tail[0] > 0.9 > 1 - tail[1]
    found = tolerance_interval(range(10), content=0.25, level=0.9)
    assert found is not None
    assert (found.low, found.high) == (2, 7)
    assert found.confidence == pytest.approx(1 - tail[0])


def test_the_probabilities_are_those_of_uniform_scores() -> None:
    # Of 20,000 samples of 12 the shares stray by .0035 at most; six times that, 1 in 10^9.
    generator = np.random.default_rng(6)
    samples, further = np.sort(generator.random((20_000, 12)), axis=1), generator.random(20_000)
    found = tolerance_interval(range(12), content=0.5, level=0.9)
    assert found is not None
    low, high = samples[:, int(found.low)], samples[:, int(found.high)]
    assert np.mean(high - low >= 0.5) == pytest.approx(found.confidence, abs=0.021)
    assert np.mean((low <= further) & (further <= high)) == pytest.approx(found.next_score, abs=0.021)


def test_one_score_has_no_interval_and_two_have_little_confidence() -> None:
    assert tolerance_interval([1.0]) is None
    found = tolerance_interval([1.0, 2.0])
    assert found is not None
    assert found.confidence == pytest.approx(1 - 0.9**2 - 2 * 0.9 * 0.1)


@pytest.mark.parametrize("content", [0, 1, 90])
def test_refuses_a_content_that_is_no_share(content: float) -> None:
    with pytest.raises(ValueError, match="content is a share"):
        tolerance_interval([1, 2], content)
