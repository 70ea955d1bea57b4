"""How long a service asks to wait, by its words alone."""

from __future__ import annotations

import pytest

from autointerp.llm.stated_waits import wait_in_words


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 7m12s.", 432),
        ("retry after 1 hour and 20 minutes", 4800),
        ("100 requests in 24 hours. Please retry later", None),
        ("limit: 20 requests per 60 seconds", None),
        ("réessayez dans 2 minutes", 120),
        ("espere 45 segundos", 45),
        ("2時間後に再試行してください", 7200),
        ("3시간 후에 다시 시도", 10800),
        ("повторите через 90 секунд", 90),
        ("the context of gpt-4m is 1M tokens", None),
        ("used 5 of 5 in 24h, try again in 3 minutes", 180),
        ("wait 250ms", 0.25),
        ("after 2026-12-01", None),
        ("Unused credits are removed after 30 days.", None),
        ("Support is available 24 hours a day.", None),
        ("Upgrade for access within 24 hours.", None),
        ("We will be back in 20 minutes", None),
        ("Please wait, our team is there 24 hours a day", None),
        ("available again in 3 hours", 10800),
        ("the limit resets in about 2 days", 172800),
        ("Please wait for at least 2 hours", 7200),
        ("access is back in 2 minutes", 120),
        ("upstream request timed out after 300 seconds", None),
        ("Waited 300 seconds in queue, gave up", None),
        ("request aborted after 60 s", None),
        ("no response within 300 seconds", None),
        ("timeout of 30s exceeded", None),
        ("retrying timed out after 90 seconds", None),
        ("limit exceeded, retry after 20 seconds", 20),
        ("closed: 20 seconds", None),
        ("slow, 20 seconds", 20),
    ],
)
def test_times_are_read_in_words(words: str, seconds: float | None) -> None:
    assert wait_in_words(words) == seconds
