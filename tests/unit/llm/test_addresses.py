from __future__ import annotations

import pytest

from autointerp.llm.address import is_loopback, read_address


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
