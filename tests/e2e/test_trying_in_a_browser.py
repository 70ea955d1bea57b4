"""What pages let people try, in Chromium: tokens are changed, explanations scored, units found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from api_service import (
    Service,
    find_units,
    listening,
    make_service,
    put_labels,
    say_alive,
    score_words,
)
from browsing import DESKTOP, PHONE, chromium, opened, overflow, serious_findings
from factories import make_label, make_unit
from playwright.sync_api import Browser, Page, expect

from autointerp.pipeline.given_explanation import OVER_LABEL

UNIT = "/models/tiny/units/blocks.5.mlp.hook_post/131"
WORDS = ("<img src=x onerror=alert(1)>", " river", " \x1b[31m", " שלום", "\\xf0\\x9f", "\n")


ABSENT = "/nowhere/mine"
WITHIN = """mark => {
  const [one, all] = [mark, mark.closest("blockquote")].map(e => e.getBoundingClientRect());
  return one.top >= all.top && one.bottom <= all.bottom;
}"""
"""Whether the mark is seen without scrolling what it is in."""
AROUND = {
    **{
        "before": "Once\n\x1b[31m <b>upon</b> " + "a time\n" * 60,
        "window": "the \u202eRhine",
        "after": " ran.",
    },
    **{"n_before": 1200, "n_after": 0},
}


def read_numbered(asked: dict[str, Any]) -> dict[str, Any]:
    """A token a letter, whose id is its number; the unit is as active as that is, up to 6."""
    ids = asked.get("token_ids") or [ord(letter) for letter in asked["text"]]
    row = {"unit": "tiny/blocks.5.mlp.hook_post/131", "activations": [one % 7 for one in ids]}
    tokens = [WORDS[one % len(WORDS)] for one in ids]
    found = {"token_ids": ids, "tokens": tokens, "units": [row]}
    return {"model": "tiny", "text": "".join(tokens), **found}


def reply(asked: dict[str, Any]) -> dict[str, Any]:
    if "maxima" in asked:
        return find_units(asked)
    if "units" in asked:
        return read_numbered(asked)
    if "document" in asked:
        return AROUND
    return {**score_words(asked), "kept_as": asked.get("keep_as")}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return make_service(tmp_path_factory.mktemp("site"), activations_s=0.5)


@pytest.fixture(scope="module")
def site(service: Service) -> Iterator[str]:
    with listening(service.app) as address:
        yield address


@pytest.fixture(autouse=True)
def worker(service: Service) -> None:
    say_alive(service.backend)
    service.worker.reply = reply
    service.worker.asked.clear()


def part(page: Page, name: str) -> Any:
    return page.locator(f"section.editor [data-part={name}]").first


def opened_tokens(page: Page) -> int:
    """Opens the first exemplar in the editor; how many tokens it has."""
    page.locator(".edit").first.click()
    expect(part(page, "note")).to_contain_text("nothing was tokenized anew")
    count: int = part(page, "after").locator("i").count()
    return count


def test_an_exemplar_is_opened_as_the_tokens_that_were_recorded(
    browser: Browser, site: str, service: Service
) -> None:
    with opened(browser, site + UNIT) as page:
        ids = page.locator(".window").first.get_attribute("data-ids") or ""
        assert opened_tokens(page) == len(ids.replace("+", ",").split(","))
        [(kind, asked)] = service.worker.asked
        assert kind == "activations"
        assert asked["token_ids"] == [int(one) for one in ids.replace("+", ",").split(",")]
        assert asked["units"] == "blocks.5.mlp.hook_post:131"


def test_tokens_are_deleted_inserted_replaced_and_cut_by_keys(
    browser: Browser, site: str, service: Service
) -> None:
    with opened(browser, site + UNIT) as page:
        n = opened_tokens(page)
        cells = part(page, "after").locator("i")
        page.keyboard.press("Home")
        page.keyboard.press("Delete")
        expect(cells).to_have_count(n - 1)
        page.keyboard.press("u")
        expect(cells).to_have_count(n)
        page.keyboard.press("i")
        page.keyboard.type("ab")
        page.keyboard.press("Enter")
        expect(cells).to_have_count(n + 3)
        expect(part(page, "note")).to_contain_text("was tokenized anew, into 3 tokens")
        expect(part(page, "note")).to_contain_text("the other tokens stay as they are")
        base = service.worker.asked[0][1]["token_ids"]
        assert service.worker.asked[-1][1]["token_ids"] == [*map(ord, " ab"), *base]
        page.keyboard.press("x")
        expect(cells).to_have_count(n + 1)
        page.keyboard.press("r")
        page.keyboard.type("c")
        page.keyboard.press("Enter")
        expect(part(page, "note")).to_contain_text("into 1 token;")
        assert service.worker.asked[-1][1]["token_ids"] == [ord("c"), *base]
        assert page.url.endswith(UNIT)


def test_colours_are_levels_of_the_units_one_scale(browser: Browser, site: str) -> None:
    with opened(browser, site + UNIT) as page:
        scale = float(page.locator("section.editor").get_attribute("data-scale") or 0)
        page.keyboard.press("e")
        page.keyboard.type("abcdefg")
        page.keyboard.press("Enter")
        expect(part(page, "note")).to_have_text("Your text was tokenized anew, into 7 tokens.")
        shown = part(page, "before").locator("i").evaluate_all("all => all.map(i => i.className)")
        levels = [int(10 * min(1, ord(letter) % 7 / scale) + 0.5) for letter in "abcdefg"]
        assert [int(name.split()[0][1:]) if name[:1] == "a" else 0 for name in shown] == levels


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_was_tried_can_be_read_and_fits(
    browser: Browser, site: str, scheme: str, width: int
) -> None:
    with opened(browser, site + UNIT, width=width, scheme=scheme) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a token ran: {dialog.message}"))
        opened_tokens(page)
        page.keyboard.press("r")
        assert serious_findings(page) == []
        assert overflow(page) == 0
        assert page.locator("main img").count() == 0
        assert "\x1b" not in page.content()


def test_the_list_of_keys_names_those_of_the_editor(browser: Browser, site: str) -> None:
    with opened(browser, site + UNIT) as page:
        page.keyboard.press("?")
        assert "open the editor" in page.locator("#keys").inner_text()


def test_without_a_worker_the_page_says_which_command_starts_one(
    browser: Browser, site: str, service: Service
) -> None:
    service.worker.reply = None
    for queue in ("activations", "labels"):
        service.backend.workers.heartbeat(f"{queue}-1", queue, None, ttl_s=0)
    with opened(browser, site + UNIT) as page:
        page.locator(".edit").first.click()
        expect(part(page, "problem")).to_contain_text("autointerp serve --embedded")


def test_while_the_worker_is_busy_the_page_says_with_which_job_and_goes_on_by_itself(
    browser: Browser, site: str, service: Service
) -> None:
    service.worker.reply = None
    service.backend.workers.heartbeat("activations-1", "activations", "job_7/records/3", ttl_s=60)
    busy = "The worker is busy: it records texts for job job_7."
    with opened(browser, site + UNIT) as page:
        part(page, "text").fill("abc")
        page.get_by_role("button", name="read it").click()
        window = page.locator(".window").first
        window.locator("summary").click()
        window.get_by_text("show the document around it").click()
        for said in (part(page, "note"), window):
            expect(said).to_contain_text(busy, timeout=15_000)
        service.worker.reply = reply
        expect(part(page, "note")).to_have_text(
            "Your text was tokenized anew, into 3 tokens.", timeout=15_000
        )
        expect(window.locator("mark")).to_have_text("the \\u202eRhine")
        expect(part(page, "problem")).to_have_text("")


def test_an_explanation_of_ones_own_stands_beside_the_label(
    browser: Browser, site: str, service: Service
) -> None:
    def score(asked: dict[str, Any]) -> dict[str, Any]:
        found = reply(asked)
        over = {"name": OVER_LABEL, "value": -0.2, "low": -0.3, "high": -0.1}
        found["results"][0]["scores"].append({**over, "n_windows": 40, "reason": None})
        return found

    service.worker.reply = score
    with opened(browser, site + UNIT) as page:
        form = page.locator("form.own-explanation").first
        form.locator("input[value=program]").check()
        form.locator("textarea").fill('9: token = " river"')
        form.locator("input[name=keep]").check()
        form.locator("button").click()
        expect(form).to_contain_text("The machine's predicts the unit better than yours.")
        expect(form).to_contain_text("-0.20 (95 %: -0.30 to -0.10)")
        expect(form).to_contain_text("It is kept as person:local.")
        assert serious_findings(page) == []
        form.locator("textarea").fill("nonsense")
        form.locator("button").click()
        expect(form.locator("[role=alert]")).to_contain_text("A rule begins with a number"[2:])


def test_units_that_fire_on_a_text_lead_to_their_pages(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/models/tiny") as page:
        box = page.locator("section.firing")
        box.locator("textarea").fill("the Rhine")
        box.locator("button").click()
        expect(box.locator("li")).to_have_count(2)
        expect(box).to_contain_text("Ranked by activation as a share")
        first = box.locator("li").first
        assert "names of rivers" in first.inner_text()
        assert first.locator("a").get_attribute("href") == f"{UNIT}#positive"
        assert "no label" in box.locator("li").last.inner_text()
        assert serious_findings(page) == []
        box.locator("[data-part=layers]").fill("5-")
        box.locator("button").click()
        expect(box.locator("[role=alert]")).to_have_text(
            "Write layers as numbers and ranges: 5, 7-9."
        )


def test_a_latent_is_read_from_the_folder_that_a_person_names(
    browser: Browser, site: str, service: Service
) -> None:
    hook = "blocks.5.hook_resid_post.sae_mine"
    made = make_label(make_unit(3, hook=hook))
    of_sae = replace(made.provenance, encoders=((hook, "0123456789abcdef"),))
    put_labels(service.stores, [replace(made, provenance=of_sae)])
    with opened(browser, f"{site}/models/tiny/units/{hook}/3") as page:
        part(page, "text").fill("ab")
        page.get_by_role("button", name="read it").click()
        expect(part(page, "problem")).to_contain_text("a label does not say it")
        assert service.worker.asked == []
        part(page, "encoder").fill(ABSENT)
        page.get_by_role("button", name="read it").click()
        expect(part(page, "problem")).to_contain_text("may not read")
        assert serious_findings(page) == []


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_document_around_a_window_is_shown_with_the_window_marked(
    browser: Browser, site: str, service: Service, scheme: str, width: int
) -> None:
    with opened(browser, site + UNIT, width=width, scheme=scheme) as page:
        window = page.locator(".window").first
        window.locator("summary").click()
        window.get_by_text("show the document around it").click()
        expect(window.locator("mark")).to_have_text("the \\u202eRhine")
        expect(window.locator("blockquote")).to_contain_text("\\u001b[31m <b>upon</b>")
        expect(window).to_contain_text("1,200 tokens before are not shown")
        assert window.locator("mark").evaluate(WITHIN)
        [(kind, asked)] = service.worker.asked
        assert (kind, asked["corpus"]) == ("document", "wiki")
        assert serious_findings(page) == []
        assert overflow(page) == 0


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ({"has_changed": True, "reason": "York is another text now"}, "York is another text now."),
        ({"has_changed": False, "reason": "it is not there"}, "It is not there."),
    ],
)
def test_a_document_that_cannot_be_shown_says_why(
    browser: Browser, site: str, service: Service, lost: dict[str, Any], said: str
) -> None:
    service.worker.reply = lambda _: lost
    with opened(browser, site + UNIT) as page:
        page.keyboard.press("o")
        window = page.locator(".window").first
        button = window.get_by_text("show the document around it")
        button.click()
        expect(window).to_contain_text(said)
        expect(button).to_be_enabled()
