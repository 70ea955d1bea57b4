"""A person in Chromium before `serve --embedded`: a job with the embedded LLM, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import chromium, opened
from embedded_service import Embedded
from labelling import wait_until
from playwright.sync_api import Browser, expect

_PATIENCE_MS = 300_000
"""Far longer than one unit takes, also where others use the machine."""


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def address(tmp_path: Path, model_folder: Path, smollm2_cache: Path) -> Iterator[str]:
    settings = {"models": f"tiny={model_folder}", "cache_dir": smollm2_cache}
    service = Embedded(tmp_path / "data", settings)
    running = service.spawn()
    try:
        wait_until(service.is_ready, said=service.logs)
        yield f"http://127.0.0.1:{service.port}"
    finally:
        running.terminate()
        running.wait(timeout=300)


def test_a_job_is_started_watched_and_its_labels_are_doubted(
    browser: Browser, address: str
) -> None:
    with opened(browser, f"{address}/") as page:
        page.set_default_timeout(_PATIENCE_MS)
        page.get_by_label("Model", exact=True).select_option("tiny")
        page.get_by_label("Units").fill("1:0")
        page.get_by_label("LLM", exact=True).select_option("embedded")
        page.get_by_label("Tokens of text").fill("1024")
        page.get_by_text("Explainer, scorer, model of the LLM").click()
        page.get_by_label("Explainer", exact=True).select_option("token_activation")
        page.get_by_label("Scorer", exact=True).select_option("detection")
        expect(page.locator("#estimate")).to_contain_text("1 label")
        page.get_by_role("button", name="Start the job").click()
        page.wait_for_url("**/jobs/*")
        expect(page.locator("#progress")).to_contain_text("1 of 1 label", timeout=_PATIENCE_MS)
        expect(page.locator("#progress .state")).to_have_text("done", timeout=_PATIENCE_MS)

        page.goto(f"{address}/models/tiny/units/blocks.1.mlp.hook_post/0")
        expect(page.locator("h1")).to_contain_text("Unit 1:0")
        page.locator(".edit").first.click()
        after = page.locator("section.editor [data-part=after]").first.locator("i")
        expect(after.first).to_be_visible()
        before = after.count()
        page.keyboard.press("Home")
        page.keyboard.press("Delete")
        expect(after).to_have_count(before - 1)

        form = page.locator("form.own-explanation").first
        form.locator("input[value=program]").check()
        form.locator("textarea").fill('10: token = " the"')
        form.get_by_role("button").click()
        expect(form).to_contain_text("difference, window by window", timeout=_PATIENCE_MS)
