"""Jobs in Chromium: the form says what one costs and starts it, its page follows it; sign-in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_service import SUBMIT, Service, listening, make_service, say_alive
from browsing import DESKTOP, PHONE, chromium, layout_shift, opened, overflow, serious_findings
from playwright.sync_api import Browser, Page, expect

from autointerp.api import KeyRing
from autointerp.core.job_state import JobState
from autointerp.core.model_shape import KNOWN_SHAPES

expect.set_options(timeout=30_000)  # Machines are busy: nothing is waited for that comes.
KEYS = KeyRing.of([f"ann:read+submit:{hashlib.sha256(SUBMIT.encode()).hexdigest()}"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def service(tmp_path: Path) -> Service:
    made = make_service(tmp_path, shapes={"smollm2-135m": KNOWN_SHAPES["smollm2-135m"]})
    say_alive(made.backend)
    return made


@pytest.fixture
def site(service: Service) -> Iterator[str]:
    with listening(service.app) as address:
        yield address


def start(page: Page, *, units: str = "5:0-9") -> str:
    """Fills in the form and starts the job; its id."""
    page.get_by_label("Model", exact=True).select_option("smollm2-135m")
    page.get_by_label("Units").fill(units)
    page.get_by_role("button", name="Start the job").click()
    page.wait_for_url("**/jobs/*")
    return page.url.rpartition("/")[2]


def test_the_form_says_what_a_job_costs_and_leads_to_its_page(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/") as page:
        page.get_by_label("Model", exact=True).select_option("smollm2-135m")
        expect(page.locator("#estimate")).to_contain_text("about")
        page.get_by_label("LLM", exact=True).select_option("embedded")
        page.get_by_label("Units").fill("5:0-19")
        expect(page.locator("#estimate")).to_contain_text("20 labels")
        expect(page.locator("#estimate")).to_contain_text("requests to the LLM")
        page.get_by_label("Units").fill("99:0")
        expect(page.locator("#estimate")).to_contain_text("no layer 99")
        start(page, units="5:0-9")
        expect(page.locator("h1")).to_have_text("5:0-9 of smollm2-135m")
        expect(page.locator("#progress")).to_contain_text("waiting")


def test_what_the_server_refuses_is_told_beside_the_button(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/") as page:
        page.get_by_label("Units").fill("5:9-0")
        page.get_by_role("button", name="Start the job").click()
        expect(page.locator("#form-problem")).to_contain_text("5:9-0")
        expect(page.get_by_role("button", name="Start the job")).to_be_enabled()


def test_the_page_of_a_job_follows_it_and_its_button_stops_it(
    browser: Browser, site: str, service: Service
) -> None:
    with opened(browser, f"{site}/") as page:
        job = start(page)
        jobs = service.backend.jobs
        jobs.transition(job, JobState.RUNNING, among={JobState.QUEUED})
        jobs.set_total(job, 10)
        expect(page.locator("#progress")).to_contain_text("0 of 10 labels")
        page.get_by_role("button", name="Cancel").press("Enter")
        expect(page.locator("#progress .state")).to_have_text("cancelled")
        expect(page.get_by_role("button", name="again")).to_be_visible()


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_pages_of_jobs_and_they_fit(
    browser: Browser, site: str, scheme: str, width: int
) -> None:
    with opened(browser, f"{site}/", width=width, scheme=scheme) as page:
        expect(page.locator("#estimate li").first).to_be_visible()
        check(page)
        start(page)
        check(page)


def test_a_browser_signs_in_and_out(browser: Browser, tmp_path: Path) -> None:
    with (
        listening(make_service(tmp_path, keys=KEYS).app) as site,
        opened(browser, f"{site}/models/tiny?layer=5") as page,
    ):
        check(page)
        page.get_by_label("API key").fill("wrong-key-0123456789")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("This API key is not known.")
        page.get_by_label("API key").fill(SUBMIT)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/models/tiny?layer=5")
        assert "autointerp_session" not in str(page.evaluate("document.cookie"))
        page.goto(f"{site}/")
        start(page)
        page.goto(f"{site}/")
        page.get_by_role("button", name="sign out").click()
        page.wait_for_url("**/sign-in")
        page.goto(f"{site}/")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_page_of_another_origin_starts_nothing(browser: Browser, tmp_path: Path) -> None:
    service = make_service(tmp_path, keys=KEYS)
    other = make_service(tmp_path / "other")
    with (
        listening(service.app) as site,
        listening(other.app) as foreign,
        opened(browser, f"{site}/sign-in") as page,
    ):
        page.get_by_label("API key").fill(SUBMIT)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{site}/")
        # A port is no part of a site: the browser sends the cookie along.
        page.goto(f"{foreign}/healthz")
        status = page.request.post(
            f"{site}/v1/jobs",
            data={"units": "5:0", "llm": "none"},
            headers={"Origin": foreign, "Sec-Fetch-Site": "same-site"},
        ).status
    assert status == 403
    assert service.backend.jobs.find(limit=1) == []


def check(page: Page) -> None:
    assert serious_findings(page) == []
    assert overflow(page) == 0
    assert layout_shift(page) < 0.01
