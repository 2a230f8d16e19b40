import pytest

from sim.power.statistics import censored_median, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # Newcombe, Statist. Med. 17, 857 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_that_of_the_literature(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_mirrors_success_and_failure():
    low, high = wilson(18, 20)
    assert wilson(2, 20) == pytest.approx((1 - high, 1 - low))


def test_the_interval_ends_at_one_when_all_succeed():
    low, high = wilson(20, 20)
    assert (round(low, 4), high) == (0.8389, 1.0)


def test_without_trials_nothing_is_known():
    assert wilson(0, 0) == (0.0, 1.0)


def test_more_successes_than_trials_are_refused():
    with pytest.raises(ValueError, match="3 successes of 2 trials"):
        wilson(3, 2)


# Weeks of remission (Freireich et al., Blood 21, 699 (1963)); + where it was still going on.
TREATED = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PLACEBO = "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23"


def _times(text):
    return [(float(word.rstrip("+")), not word.endswith("+")) for word in text.split()]


def test_the_censored_median_is_that_of_the_literature():
    assert censored_median(_times(TREATED)) == 23
    assert censored_median(_times(PLACEBO)) == 8


def test_the_order_of_the_trials_does_not_matter():
    assert censored_median(reversed(_times(TREATED))) == 23


def test_there_is_no_median_when_less_than_half_was_seen():
    assert censored_median([(1.0, True), (2.0, False), (3.0, False)]) is None
    assert censored_median([]) is None


def test_of_an_even_number_the_lower_of_the_two_in_the_middle_counts():
    assert censored_median([(t, True) for t in (1.0, 2.0, 3.0, 4.0)]) == 2.0


def test_who_was_watched_until_an_event_was_there_to_see_it():
    assert censored_median([(5.0, False), (5.0, True)]) == 5.0
