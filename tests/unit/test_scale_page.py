"""docs/scale.md shows what `autointerp plan` prints."""

from __future__ import annotations

import pytest
from scale_page import PAGE, with_plans


def test_the_plans_of_the_page_are_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOINTERP_LLM_MODEL", raising=False)
    page = PAGE.read_text()
    for shape in ("smollm2-135m", "gpt2-xl", "llama-3.1-8b", "llama-3.1-70b"):
        assert f"autointerp plan {shape} " in page
    assert with_plans(page) == page, "run python tests/support/scale_page.py"
