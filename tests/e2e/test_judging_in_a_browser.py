"""A person judges a blinded study in a browser with two keys, stops, and goes on."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browsing import DESKTOP, PHONE, chromium, opened, serious_findings
from planted import planted_texts, write_planted
from playwright.sync_api import Browser, Page, expect

import autointerp as ai
from autointerp.core.blind_study import Answer
from autointerp.serving.judging_server import judge_on_a_page
from autointerp.wiring.blind_folder import BlindFolder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def blind(tmp_path: Path) -> BlindFolder:
    write_planted(tmp_path / "planted")
    texts = (json.dumps({"text": text}) for text in planted_texts(60))
    (tmp_path / "texts.jsonl").write_text("\n".join(texts))
    ai.study_solu(
        str(tmp_path / "planted"),
        sites=("pre", "post"),
        neurons=5,
        corpus=str(tmp_path / "texts.jsonl"),
        tokens=8000,
        out=tmp_path / "out",
    )
    return BlindFolder(tmp_path / "out")


@contextmanager
def served(blind: BlindFolder) -> Iterator[str]:
    """The address of the page; the server has ended with the block only where the judge ended."""
    told, ready = list[str](), threading.Event()

    def tell(message: str) -> None:
        told.append(message)
        ready.set()

    running = threading.Thread(
        target=judge_on_a_page, args=(blind, "me"), kwargs={"port": 0, "tell": tell}, daemon=True
    )
    running.start()
    assert ready.wait(60)
    found = re.search(r"http://\S+", told[0])
    assert found is not None
    yield found[0]


def press(page: Page, key: str, title: str) -> None:
    """Presses a key once the page is whole, and waits for the next."""
    page.wait_for_load_state("load")
    page.keyboard.press(key)
    expect(page).to_have_title(re.compile(f"^{title}"))


def test_two_keys_judge_and_a_third_takes_back(browser: Browser, blind: BlindFolder) -> None:
    items = [item.id for item in blind.items()]
    with served(blind) as url, opened(browser, url) as page:
        assert "0 of 8 judged" in page.title()
        press(page, "j", "1 of 8")
        press(page, "k", "2 of 8")
        given = [(v.item, v.answer) for v in blind.verdicts("me")]
        assert given == [(items[0], Answer.YES), (items[1], Answer.NO)]
        press(page, "u", "1 of 8")
        assert [v.item for v in blind.verdicts("me")] == [items[0]]
        # Letters of a rule are no verdicts.
        page.get_by_label("The rule in words").fill("just banks")
        page.get_by_role("button", name="one rule").first.click()
        expect(page).to_have_title(re.compile(r"^2 of 8"))
        assert blind.verdicts("me")[-1].rule == "just banks"


def test_a_judge_who_stopped_goes_on_and_finishes(browser: Browser, blind: BlindFolder) -> None:
    with served(blind) as url, opened(browser, url) as page:
        press(page, "j", "1 of 8")
    with served(blind) as url, opened(browser, url) as page:
        for n in range(1, 8):
            assert page.title().startswith(f"{n} of 8")
            press(page, "k", f"{n + 1} of 8")
        assert "All 8 items are judged" in page.inner_text("h1")
        page.get_by_role("button", name="finish").click()
        assert "The report is being written" in page.inner_text("body")
    assert len(blind.verdicts("me")) == 8


def test_an_item_that_is_judged_in_two_tabs_has_the_last_verdict(
    browser: Browser, blind: BlindFolder
) -> None:
    with served(blind) as url, opened(browser, url) as one, opened(browser, url) as other:
        press(one, "j", "1 of 8")
        press(other, "k", "1 of 8")
    assert [v.answer for v in blind.verdicts("me")] == [Answer.NO]


def test_forms_of_other_pages_and_hosts_are_refused(browser: Browser, blind: BlindFolder) -> None:
    item = blind.items()[0].id
    with served(blind) as url:
        context = browser.new_context()
        sent = context.request.post(f"{url}verdict", form={"item": item, "answer": "yes"})
        assert sent.status == 400
        assert "open the page again" in sent.text()
        assert context.request.get(url, headers={"Host": "evil.example"}).status == 400
        context.close()
    assert blind.verdicts("me") == ()


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_by_all(
    browser: Browser, blind: BlindFolder, width: int, scheme: str
) -> None:
    with served(blind) as url, opened(browser, url, width=width, scheme=scheme) as page:
        assert not serious_findings(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        text = page.inner_text("body")
        for told in ("planted", "hook", "layer", "post"):
            assert told not in text
