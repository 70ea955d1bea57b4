from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.backoff import Backoff, RetryDeadline

BACKOFF = Backoff(0.5, 30.0, jitter=0.5)


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e12), st.integers(0, 2**32))
def test_every_wait_is_between_nothing_and_the_cap(
    n_failed: int, asked_s: float | None, seed: int
) -> None:
    wait = BACKOFF.wait_s(n_failed, asked_s=asked_s, rng=random.Random(seed))
    assert 0 <= wait <= BACKOFF.longest_s
    if asked_s is not None:
        assert wait >= min(asked_s, BACKOFF.longest_s)


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_waits_double_within_their_jitter(n_failed: int, seed: int) -> None:
    wait = BACKOFF.wait_s(n_failed, rng=random.Random(seed))
    assert 0.25 * 2 ** (n_failed - 1) <= wait <= 0.5 * 2 ** (n_failed - 1)


def test_equal_seeds_wait_equally() -> None:
    def waits(seed: int) -> list[float]:
        rng = random.Random(seed)
        return [BACKOFF.wait_s(n, rng=rng) for n in range(1, 5)]

    assert waits(1) == waits(1)
    assert waits(1) != waits(2)


def test_waits_without_jitter_grow_by_their_factor() -> None:
    assert [Backoff(1.0, 3.0, factor=1.5).wait_s(n) for n in range(1, 5)] == [1.0, 1.5, 2.25, 3.0]


def test_waiting_between_attempts_grows_and_ends() -> None:
    waits: list[float] = []
    deadline = RetryDeadline(100, Backoff(0.2, 5.0, jitter=0.5), sleep=waits.append)
    for _ in range(8):
        assert deadline.wait()
    assert waits[0] <= 0.2
    assert 2.5 <= waits[-1] <= 5
    assert not deadline.wait(101)
