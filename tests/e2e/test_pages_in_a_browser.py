"""Pages in Chromium: nothing runs that is not ours, they fit, and everybody can read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from api_service import listening, make_service, put_labels, say_alive
from browsing import DESKTOP, PHONE, chromium, layout_shift, opened, overflow, serious_findings
from factories import make_label, make_record, make_sets, make_unit
from playwright.sync_api import Browser

from autointerp.core.explanations import Label
from autointerp.core.records import UnitSets

UNIT = "/models/tiny/units/blocks.5.mlp.hook_post/131"
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\x1b[31mred",
    "\u202ebackwards",
    "שלום",
    "\\xf0\\x9f",
    "\\x98\\x80",
    "</script>",
    "{{ 7 * 7 }}",
)
COMPARED = "/compare?model=tiny&hook=blocks.5.mlp.hook_post&index=131"
PAGES = (
    *("/", "/models/tiny", UNIT, f"{UNIT}/trials", COMPARED),
    *("/models/none", "/models/tiny?q=nothing+is+so", "/example/models/smollm2-135m/index.html"),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Labels, one with tokens that are markup, control characters and parts of an emoji."""
    service = make_service(tmp_path_factory.mktemp("site"))
    put_labels(service.stores, [hostile_label()])
    service.stores.of("tiny").put_sets(hostile_sets())
    say_alive(service.backend)
    with listening(service.app) as address:
        yield address


def hostile_label() -> Label:
    return make_label(
        make_unit(140), text="<b>bold</b> claims", top_tokens=HOSTILE, promoted=HOSTILE
    )


def hostile_sets() -> UnitSets:
    activations = (0.5, 4.0, *[0.1] * (len(HOSTILE) - 2))
    record = replace(make_record(0, activations, "top"), tokens=HOSTILE, document="<i>doc</i>")
    sets = make_sets(make_unit(140))
    return replace(sets, explain=replace(sets.explain, records=(record,)))


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_everybody_can_read_a_page_and_it_fits(
    browser: Browser, site: str, path: str, scheme: str, width: int
) -> None:
    with opened(browser, f"{site}{path}", width=width, scheme=scheme) as page:
        assert serious_findings(page) == []
        assert overflow(page) == 0
        assert layout_shift(page) < 0.01


def test_tokens_are_text_and_nothing_of_them_runs(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/models/tiny/units/blocks.5.mlp.hook_post/140") as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a token ran: {dialog.message}"))
        page.keyboard.press("o")
        shown = page.locator("main").inner_text()
        assert page.locator("main img, main script").count() == 0
        assert "<img" in shown
        assert "{{ 7 * 7 }}" in shown
        assert "<b>bold</b> claims" in shown
        assert "\x1b" not in page.content()
