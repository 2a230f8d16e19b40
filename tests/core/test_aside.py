import math

import pytest

from magscope.aside import FAIR_S, LOOK_S, SLOW_S, Patience


def ns(seconds):
    return round(seconds * 1e9)


def test_a_driver_is_left_to_itself_only_by_who_hurries():
    assert Patience(0).last_ns(0) == math.inf
    assert Patience(0).last_ns(ns(4.0)) == ns(4.0)


def test_a_driver_that_was_called_just_now_has_a_fair_time_to_return():
    assert Patience(ns(3.9)).last_ns(ns(4.0)) == ns(3.9 + FAIR_S)


def test_a_time_in_which_nobody_ran_does_not_count():
    patience = Patience(0)
    assert patience.held_up_ns(ns(LOOK_S)) == 0
    assert patience.held_up_ns(ns(100.0)) == ns(100.0)
    assert patience.taken_s(ns(101.0)) == 1.0
    assert patience.last_ns(ns(4.0)) == ns(100.0 + FAIR_S)
    assert patience.next_look_s(ns(101.0), math.inf) == LOOK_S
    assert patience.held_up_ns(ns(101.0 + 2 * LOOK_S)) == 0
    assert patience.held_up_ns(ns(103.0)) == ns(2.0 - LOOK_S)


def test_people_are_told_once_that_a_driver_takes_long():
    patience = Patience(ns(1.0))
    assert not patience.ends(ns(1.0 + SLOW_S) - 1)
    assert patience.ends(ns(1.0 + SLOW_S))
    assert not patience.ends(ns(1.0 + SLOW_S))
    assert patience.is_at_end


def test_it_is_looked_again_when_there_is_something_to_do():
    patience = Patience(0)
    assert patience.next_look_s(0, math.inf) == LOOK_S
    assert patience.next_look_s(ns(SLOW_S - 0.1), math.inf) == pytest.approx(0.1)
    assert patience.next_look_s(ns(SLOW_S - 0.1), ns(SLOW_S - 0.05)) == pytest.approx(0.05)
    assert patience.next_look_s(ns(SLOW_S + 1.0), ns(SLOW_S)) == 0.0
