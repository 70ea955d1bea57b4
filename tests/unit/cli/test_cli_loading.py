"""What is said while the libraries are loaded."""

from __future__ import annotations

import sys

import pytest

from autointerp.cli.rendering.console import say_loading


def test_that_libraries_are_loaded_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    say_loading.cache_clear()
    say_loading()
    say_loading()
    assert capsys.readouterr().err == "loading the libraries\n"
