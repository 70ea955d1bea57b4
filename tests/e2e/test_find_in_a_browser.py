"""A feature looked for from the page of a model, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from api_service import Service, listening, make_service, say_alive
from browsing import DESKTOP, PHONE, chromium, opened, overflow, serious_findings
from find_replies import find_feature
from playwright.sync_api import Browser, Page, expect

PAGE = "/models/tiny/find"
WITH = "\n".join(f"la maison {n}" for n in range(20))
WITHOUT = "\n".join(f"the house {n}" for n in range(20))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return make_service(tmp_path_factory.mktemp("site"), find_s=0.5)


@pytest.fixture(scope="module")
def site(service: Service) -> Iterator[str]:
    with listening(service.app) as address:
        yield address


@pytest.fixture(autouse=True)
def worker(service: Service) -> None:
    say_alive(service.backend)
    service.worker.reply = find_feature
    service.worker.asked.clear()


def paste(page: Page, positive: str = WITH, negative: str = WITHOUT) -> None:
    page.get_by_label("Texts that show it").fill(positive)
    page.get_by_label("Texts that do not").fill(negative)


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pasted_texts_find_units_with_their_scores_labels_and_the_verdict(
    browser: Browser, site: str, service: Service, scheme: str, width: int
) -> None:
    with opened(browser, site + "/models/tiny", width=width, scheme=scheme) as page:
        page.get_by_role("link", name="find a feature").first.click()
        paste(page)
        page.get_by_role("button", name="find them").click()
        rows = page.locator("table.best tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.first).to_contain_text("5:131 +0.91 (0.71 to 0.96)0.97")
        expect(rows.first.get_by_role("link")).to_have_attribute(
            "href", "/models/tiny/units/blocks.5.mlp.hook_post/131#positive"
        )
        expect(rows.nth(1)).to_contain_text("no label")
        expect(rows.nth(1).get_by_role("link")).to_have_count(0)
        result = page.get_by_role("region", name="What was found")
        expect(result).to_contain_text("One unit (5:131): one unit reaches 0.80 of 0.90.")
        expect(result).to_contain_text("where chance is 0.47")
        expect(result.get_by_role("img")).to_have_attribute(
            "aria-label", "MCC by number of units: 1: 0.80; 2: 0.90"
        )
        expect(result).to_contain_text("autointerp find tiny --positive WITH.txt")
        [(kind, asked)] = service.worker.asked
        assert (kind, asked["positive"]) == ("find", WITH.split("\n"))
        assert (asked["units"], asked["k"]) == ("all", [16, 4, 2, 1])
        assert serious_findings(page) == []
        assert overflow(page) == 0


@pytest.mark.parametrize(
    ("way", "field", "written", "sent"),
    [
        ("a ready feature", "Feature", None, {"feature": "years", "tokens": 2048}),
        ("a pattern", "Regular expression", r"\bRh\w{1,9}", {"regex": r"\bRh\w{1,9}"}),
        (
            "labelled lines",
            "Lines of JSON",
            "\n".join(f'{{"text": "in 191{n % 10} or {n}", "spans": [[3, 7]]}}' for n in range(12)),
            {"positive": [], "negative": []},
        ),
    ],
)
def test_other_ways_to_say_it_are_sent_with_the_layers(
    browser: Browser, site: str, service: Service, way: str, field: str, written: Any, sent: Any
) -> None:
    with opened(browser, site + PAGE) as page:
        page.get_by_label(way).check()
        if written is None:
            page.get_by_role("combobox", name=field).select_option("years")
            page.get_by_label("tokens to read").fill("2048")
        else:
            page.get_by_label(field).fill(written)
        page.get_by_label("layers").fill("4-5")
        page.get_by_label("how many units carry it").uncheck()
        page.get_by_role("button", name="find them").click()
        expect(page.locator("table.best tbody tr")).to_have_count(2)
        [(_, asked)] = service.worker.asked
        assert sent.items() <= asked.items()
        assert (asked["units"], asked["k"]) == ("layer:4,layer:5", [])
        expect(page.locator("svg")).to_have_count(0)


def test_what_cannot_be_looked_for_is_one_sentence_and_the_form_keeps_what_was_pasted(
    browser: Browser, site: str, service: Service
) -> None:
    with opened(browser, site + PAGE) as page:
        paste(page, negative=WITH)
        page.get_by_role("button", name="find them").click()
        expect(page.get_by_role("alert")).to_contain_text("are the same text with other labels")
        expect(page.get_by_label("Texts that do not")).to_have_value(WITH)
        page.reload()
        expect(page.get_by_label("Texts that show it")).to_have_value(WITH)
        page.get_by_label("labelled lines").check()
        page.get_by_label("Lines of JSON").fill("a text\n")
        page.get_by_role("button", name="find them").click()
        expect(page.get_by_role("alert")).to_contain_text("Line 1 is not a JSON object")
        assert service.worker.asked == []


def test_a_search_that_no_worker_answers_says_how_one_is_started(
    browser: Browser, site: str, service: Service
) -> None:
    for queue in ("activations", "labels"):
        service.backend.workers.heartbeat(f"{queue}-1", queue, None, ttl_s=0)
    service.worker.reply = None
    with opened(browser, site + PAGE) as page:
        paste(page)
        page.get_by_role("button", name="find them").click()
        expect(page.get_by_role("alert")).to_contain_text("No worker is connected", timeout=10_000)
        expect(page.get_by_label("Texts that show it")).to_have_value(WITH)


def test_a_model_that_the_server_does_not_load_has_no_such_page(
    browser: Browser, site: str
) -> None:
    with opened(browser, site + "/models/huge/find") as page:
        expect(page.locator("main")).to_contain_text("Unknown model 'huge'")
