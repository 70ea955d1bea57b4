"""How often, and how much at a time, one name may ask; the clock is the test's."""

from __future__ import annotations

import pytest

from autointerp.api.problems import Problem
from autointerp.api.request_limits import ConcurrencyLimit, RateLimits

KEPT = 10_000


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def n_taken(limits: RateLimits, name: str) -> int:
    """How many are taken before the first that has to wait."""
    n = 0
    while limits.take(name) == 0:
        n += 1
    return n


def test_a_full_bucket_gives_its_burst_and_then_says_how_long_the_next_takes(clock: Clock) -> None:
    limits = RateLimits(4.0, 3, clock=clock)
    assert n_taken(limits, "a") == 3
    assert limits.take("a") == limits.wait("a") == 0.25
    clock.now += 0.125
    assert limits.take("a") == limits.wait("a") == 0.125
    clock.now += 0.125
    assert n_taken(limits, "a") == 1


def test_a_bucket_fills_with_time_to_its_burst_and_no_further(clock: Clock) -> None:
    limits = RateLimits(4.0, 3, clock=clock)
    n_taken(limits, "a")
    clock.now += 0.5
    assert n_taken(limits, "a") == 2
    clock.now += 3600
    assert n_taken(limits, "a") == 3


def test_asking_how_long_to_wait_takes_nothing(clock: Clock) -> None:
    limits = RateLimits(4.0, 2, clock=clock)
    assert [limits.wait("a") for _ in range(5)] == [0.0] * 5
    limits.take("a")
    assert [limits.wait("a") for _ in range(5)] == [0.0] * 5
    assert n_taken(limits, "a") == 1


def test_every_name_has_a_bucket_of_its_own(clock: Clock) -> None:
    limits = RateLimits(4.0, 2, clock=clock)
    assert [n_taken(limits, name) for name in "ab"] == [2, 2]


def test_a_clock_that_is_put_back_takes_nothing_away(clock: Clock) -> None:
    limits = RateLimits(4.0, 3, clock=clock)
    limits.take("a")
    clock.now -= 100
    assert n_taken(limits, "a") == 2


def test_of_too_many_names_those_that_asked_longest_ago_are_forgotten(clock: Clock) -> None:
    limits = RateLimits(0.001, 2, clock=clock)
    for name in ("busy", "quiet", "busy"):
        limits.take(name)
    for number in range(KEPT - 2):
        limits.take(str(number))
    assert (limits.wait("busy") > 0, n_taken(limits, "quiet")) == (True, 1)
    # "quiet" asked just now; one more name, and "busy" is the oldest.
    limits.take("new")
    assert n_taken(limits, "quiet") == 0
    assert n_taken(limits, "busy") == 2


def test_so_many_at_a_time_for_each_name() -> None:
    limit = ConcurrencyLimit(2)
    limit.check("a", "streams")
    with limit.one("a"):
        limit.check("a", "streams")
        with limit.one("a"):
            with pytest.raises(Problem, match="2 streams are open already") as refused:
                limit.check("a", "streams")
            limit.check("b", "streams")
        limit.check("a", "streams")
    told = refused.value
    assert (told.status, told.code, told.headers) == (429, "too_many_open", {"Retry-After": "5"})


def test_a_place_is_given_back_when_its_block_fails() -> None:
    limit = ConcurrencyLimit(1)
    for _ in range(3):
        limit.check("a", "streams")
        with pytest.raises(ZeroDivisionError), limit.one("a"):
            raise ZeroDivisionError


def test_who_asked_again_is_not_the_first_to_be_forgotten(clock: Clock) -> None:
    limits = RateLimits(0.001, 1, clock=clock)
    for name in ("early", *map(str, range(KEPT - 1))):
        limits.take(name)
    clock.now += 1000
    assert limits.take("early") == 0
    limits.take("one more")
    assert limits.take("early") > 0


def test_a_place_that_is_given_back_leaves_the_others_taken() -> None:
    limit = ConcurrencyLimit(2)
    with limit.one("a"):
        with limit.one("a"):
            pass
        with limit.one("a"), pytest.raises(Problem):
            limit.check("a", "streams")
    limit.check("a", "streams")
