from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from autointerp.llm.retry import ClientOptions, retry_after_s, wait_s

OPTIONS = ClientOptions()
NOW = 784111777.0


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e12), st.integers(0, 2**32))
def test_every_wait_is_between_nothing_and_the_cap(
    attempt: int, asked: float | None, seed: int
) -> None:
    wait = wait_s(attempt, asked_s=asked, options=OPTIONS, rng=random.Random(seed))
    assert 0 <= wait <= OPTIONS.longest_wait_s
    if asked is not None:
        assert wait >= min(asked, OPTIONS.longest_wait_s)


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_waits_double_within_their_jitter(attempt: int, seed: int) -> None:
    wait = wait_s(attempt, asked_s=None, options=OPTIONS, rng=random.Random(seed))
    assert 0.25 * 2 ** (attempt - 1) <= wait <= 0.5 * 2 ** (attempt - 1)


def test_equal_seeds_wait_equally() -> None:
    def waits(seed: int) -> list[float]:
        rng = random.Random(seed)
        return [wait_s(n, asked_s=None, options=OPTIONS, rng=rng) for n in range(1, 5)]

    assert waits(1) == waits(1)
    assert waits(1) != waits(2)


@given(st.text())
def test_any_retry_after_is_read_without_failing(text: str) -> None:
    seconds = retry_after_s({"retry-after": text}, now_s=NOW)
    assert seconds is None or seconds >= 0


def test_a_date_is_read_against_the_clock() -> None:
    headers = {"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT"}
    assert retry_after_s(headers, now_s=NOW) == 60.0


def test_nonsense_asks_for_no_wait() -> None:
    for text in ("-5", "nan", "inf", "soon", "", "Sun, 99 Nov 1994 08:50:37 GMT"):
        assert retry_after_s({"retry-after": text}, now_s=NOW) is None
    assert retry_after_s({}, now_s=NOW) is None
