"""A unit held still, raised and lowered from its page, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from api_service import Service, listening, make_service, say_alive
from browsing import DESKTOP, PHONE, chromium, opened, overflow, serious_findings
from causal_replies import NOT_SAID, find_evidence, kept_evidence
from factories import make_unit
from playwright.sync_api import Browser, Locator, Page, expect

from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.causal_request import CausalRequest

UNIT = "/models/tiny/units/blocks.5.mlp.hook_post/131"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return make_service(tmp_path_factory.mktemp("site"), evidence_s=0.5)


@pytest.fixture(scope="module")
def site(service: Service) -> Iterator[str]:
    with listening(service.app) as address:
        yield address


@pytest.fixture(scope="module")
def kept_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service that has an answer of each kind."""
    kept = make_service(tmp_path_factory.mktemp("kept"))
    two = {"prompt": "He is from Paris", "counterfactual": "He is from Berlin"}
    for kind in EvidenceKind:
        asked = CausalRequest(kind, **(two if kind is EvidenceKind.PATCHING else {}))
        kept.stores.of("tiny").put_evidence(kept_evidence(make_unit(), asked))
    with listening(kept.app) as address:
        yield address


@pytest.fixture(autouse=True)
def worker(service: Service) -> None:
    say_alive(service.backend)
    service.worker.reply = find_evidence
    service.worker.asked.clear()


def section(page: Page) -> Locator:
    return page.locator("section.causal")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_lost_without_a_unit_stands_beside_its_controls(
    browser: Browser, site: str, service: Service, scheme: str, width: int
) -> None:
    with opened(browser, site + UNIT, width=width, scheme=scheme) as page:
        section(page).get_by_label("held at").select_option("mean")
        section(page).get_by_role("button").click()
        rows = section(page).locator("tbody tr")
        expect(rows).to_have_count(3)
        expect(rows.nth(1)).to_contain_text("its exemplars, 4 windows+250 (+100 to +400)")
        expect(rows.nth(1)).to_contain_text("rank 2 of 20, p\u00a0=\u00a00.1")
        expect(rows.nth(1)).to_contain_text("its units write at several places")
        expect(rows.nth(2)).to_contain_text(NOT_SAID)
        said = section(page).get_by_role("status")
        expect(said).to_contain_text(
            "at its mean the loss is 250 thousandths of a nat a token higher"
        )
        expect(said).to_contain_text("It took 12 s.")
        expect(section(page)).to_contain_text("1 of 2 units are left out")
        [(kind, asked)] = service.worker.asked
        assert (kind, asked["units"]) == ("evidence", "blocks.5.mlp.hook_post:131")
        assert (asked["holds"], asked["n_windows"], asked["n_controls"]) == (["mean"], 8, 9)
        assert serious_findings(page) == []
        assert overflow(page) == 0


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_was_kept_of_a_unit_stands_on_its_page_and_no_worker_is_asked(
    browser: Browser, kept_site: str, service: Service, scheme: str, width: int
) -> None:
    with opened(browser, kept_site + UNIT, width=width, scheme=scheme) as page:
        found = page.locator("section.found")
        expect(found.locator("h3")).to_have_count(len(EvidenceKind))
        rows = found.locator("table").first.locator("tbody tr")
        expect(rows).to_have_count(3)
        expect(rows.nth(1)).to_contain_text("+250 (+100 to +400)")
        expect(rows.nth(2)).to_contain_text(NOT_SAID)
        expect(found.locator("dl.written dd").nth(1)).to_contain_text("<b>of rivers</b>")
        expect(found).to_contain_text("UTC, float32, wiki, job_1")
        assert service.worker.asked == []
        assert serious_findings(page) == []
        assert overflow(page) == 0


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_what_is_written_stands_beside_a_random_direction_with_nothing_invisible(
    browser: Browser, site: str, service: Service, width: int
) -> None:
    with opened(browser, site + UNIT, width=width) as page:
        section(page).get_by_label("hold it still").focus()
        page.keyboard.press("ArrowDown")
        section(page).get_by_label("Texts to go on with").fill("The river\n\n<i>I</i>")
        section(page).get_by_role("button").focus()
        page.keyboard.press("Enter")
        expect(section(page).locator("dl")).to_have_count(2)
        first = section(page).locator("dl").first
        expect(first.locator("dd")).to_have_text(
            ["plain 0", "<b>of rivers</b>↵\\u001b[31m", "turned 0"]
        )
        expect(section(page)).to_contain_text("After “<i>I</i>”")
        expect(section(page)).to_contain_text("It cannot be lowered: holding it down moves")
        expect(section(page)).to_contain_text("rank 1 of 2, p\u00a0=\u00a00.5")
        assert service.worker.asked[0][1]["prompts"] == ["The river", "<i>I</i>"]
        assert serious_findings(page) == []
        assert overflow(page) == 0


def test_what_cannot_be_told_is_one_sentence_and_can_be_asked_again(
    browser: Browser, site: str, service: Service
) -> None:
    why = "there is no label of 5:131"
    service.worker.reply = lambda _: {
        "unlabelled": ["tiny/blocks.5.mlp.hook_post/131"],
        "reason": why,
    }
    with opened(browser, site + UNIT) as page:
        button = section(page).get_by_role("button")
        button.click()
        expect(section(page).get_by_role("alert")).to_have_text("There is no label of 5:131.")
        expect(button).to_be_enabled()
        section(page).get_by_label("raise and lower it").check()
        section(page).get_by_label("Texts to go on with").fill(" ")
        button.click()
        expect(section(page).get_by_role("alert")).to_have_text("Write a text to go on with.")
        assert len(service.worker.asked) == 1


def test_a_busy_worker_is_named_while_the_page_waits(
    browser: Browser, site: str, service: Service
) -> None:
    service.worker.reply = None
    service.backend.workers.heartbeat("activations-1", "activations", "job_7/collect/0", ttl_s=3600)
    with opened(browser, site + UNIT) as page:
        section(page).get_by_role("button").click()
        expect(section(page).get_by_role("status")).to_contain_text(
            "The worker is busy", timeout=9000
        )


def test_where_no_controls_were_asked_for_nothing_is_said_of_them(
    browser: Browser, site: str, service: Service
) -> None:
    def alone(asked: dict[str, Any]) -> dict[str, Any]:
        found = find_evidence(asked)
        changes = [change for one in found["ablations"] for change in one["changes"]]
        for part in [*changes, *found["steerings"]]:
            part["standings"] = []
        return found

    service.worker.reply = alone
    with opened(browser, site + UNIT) as page:
        section(page).get_by_label("controls of each kind").fill("0")
        section(page).get_by_role("button").click()
        said = section(page).get_by_role("status")
        expect(said).to_contain_text("a token higher on its exemplars. It took")
        section(page).get_by_label("raise and lower it").check()
        section(page).get_by_role("button").click()
        expect(section(page)).to_contain_text("by a KL of 0.5 nats.")
