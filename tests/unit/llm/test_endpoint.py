"""Addresses of endpoints, and what the headers of their responses ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.llm.service_addresses import is_loopback, read_address
from autointerp.llm.stated_waits import asked_pause_s, read_duration_s, retry_after_s

NOW = 784111777.0


@pytest.mark.parametrize(
    ("url", "host", "shown"),
    [
        ("https://api.openai.com/v1", "api.openai.com", "https://api.openai.com/v1"),
        ("http://[::1]:8000/v1", "::1", "http://[::1]:8000/v1"),
        ("https://me:secret@h:99/v1?key=secret", "h", "https://h:99/v1"),
    ],
)
def test_an_address_is_shown_without_secrets(url: str, host: str, shown: str) -> None:
    assert read_address(url) == (host, shown)


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "localhost.evil.com", "api.openai.com", "::2"])
def test_other_machines_are_not(host: str) -> None:
    assert not is_loopback(host)


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


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({}, 0.0),
        ({"x-ratelimit-remaining-tokens": "500", "x-ratelimit-reset-tokens": "9s"}, 0.0),
        ({"x-ratelimit-remaining-tokens": "20", "x-ratelimit-reset-tokens": "1m0s"}, 60.0),
        (
            {
                "x-ratelimit-remaining-tokens": "20",
                "x-ratelimit-limit-tokens": "420",
                "x-ratelimit-reset-tokens": "60s",
            },
            12.0,
        ),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, 0.0),
    ],
)
def test_a_pause_is_as_long_as_one_request_needs(headers: dict[str, str], pause: float) -> None:
    assert asked_pause_s(headers, n_tokens=100) == pytest.approx(pause)


def test_durations_are_read_in_every_spelling() -> None:
    spelled = ["20ms", "1s", "1.5s", "6m0s", "1h2m3s", "1d", "12", "", "x", "-3", "1700000000"]
    seconds = [0.02, 1.0, 1.5, 360.0, 3723.0, 86400.0, 12.0, None, None, None, None]
    assert [read_duration_s(text) for text in spelled] == seconds
