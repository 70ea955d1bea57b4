"""Pages in Chromium: nothing runs that is not ours, they fit, and everybody can read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from api_service import listening, make_service, put_labels, say_alive
from browsing import DESKTOP, PHONE, chromium, layout_shift, opened, overflow, serious_findings
from factories import make_label, make_record, make_sets, make_unit
from playwright.sync_api import Browser
from rescored_folder import DISTRUSTED, rescored_folder

from autointerp.core.explanations import Label
from autointerp.core.records import UnitSets
from autointerp.core.sense_types import Sense
from autointerp.web.rescored_site import unit_path

UNIT = "/models/tiny/units/blocks.5.mlp.hook_post/131"
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\n" + " " * 190,
    "\x1b[31mred",
    "\u202ebackwards",
    "שלום",
    "\\xf0\\x9f",
    "\\x98\\x80",
    "</script>",
    "{{ 7 * 7 }}",
)
COMPARED = "/compare?model=tiny&hook=blocks.5.mlp.hook_post&index=131"
OWN_COMPARED = "/compare?model=tiny&hook=blocks.5.mlp.hook_post&index=140"
SENSED = "/models/tiny/units/blocks.5.mlp.hook_post/150"
MOVED = "/moved?a=tiny&b=other"
RESCORED = "/rescored/on-python"
RESCORED_UNIT = f"{RESCORED}/{unit_path(DISTRUSTED)}"
PAGES = (
    *("/", "/models/tiny", UNIT, f"{UNIT}/trials", COMPARED, f"{COMPARED}&a=tiny&b=other"),
    *("/moved", f"{MOVED}&only=all", "/moved?a=tiny&b=none", SENSED),
    *(f"{RESCORED}/index.html", RESCORED_UNIT, RESCORED_UNIT.replace("131", "134")),
    *("/models/none", "/models/tiny?q=nothing+is+so", "/example/models/smollm2-135m/index.html"),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Labels, one with tokens that are markup, control characters and parts of an emoji."""
    folder = tmp_path_factory.mktemp("site")
    rescored = rescored_folder(folder / "on-python", hostile=HOSTILE)
    service = make_service(folder / "api", rescored=(rescored,))
    put_labels(service.stores, [hostile_label()])
    service.stores.of("tiny").put_sets(hostile_sets())
    # A second dictionary, in which one unit is another's and one scores much less.
    unlike = make_label(make_unit(132, subject="other"), text=HOSTILE[0], score=0.95)
    put_labels(service.stores, [make_label(make_unit(subject="other"), score=-0.3), unlike])
    service.stores.of("other").put_sets(make_sets(make_unit(subject="other")))
    put_labels(service.stores, [sensed_label()])
    service.stores.of("tiny").put_sets(make_sets(make_unit(150)))
    say_alive(service.backend)
    with listening(service.app) as address:
        yield address


def hostile_label() -> Label:
    return make_label(
        make_unit(140), text="<b>bold</b> claims", top_tokens=HOSTILE, promoted=HOSTILE
    )


def sensed_label() -> Label:
    """Two senses with rules: the first of everything, the second of nothing."""
    rules = ("10: position < 99", '5: token = " never seen"')
    senses = tuple(Sense(f"sense {rule}", 10.0, program=rule) for rule in rules)
    made = make_label(make_unit(150))
    assert made.explanation is not None
    return replace(made, explanation=replace(made.explanation, senses=senses))


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


@pytest.mark.parametrize("path", ["/models/tiny/units/blocks.5.mlp.hook_post/140", RESCORED_UNIT])
def test_tokens_are_text_and_nothing_of_them_runs(browser: Browser, site: str, path: str) -> None:
    with opened(browser, site + path) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a token ran: {dialog.message}"))
        page.keyboard.press("o")
        shown = page.locator("main").inner_text()
        assert page.locator("main img, main script").count() == 0
        assert "<img" in shown
        assert "{{ 7 * 7 }}" in shown
        assert "\x1b" not in page.content()


def test_a_label_is_text(browser: Browser, site: str) -> None:
    for path in (UNIT.replace("131", "140"), f"{RESCORED}/index.html"):
        with opened(browser, site + path) as page:
            assert "<b>bold</b> claims" in page.locator("main").inner_text()


@pytest.mark.parametrize(("width", "is_beside"), [(PHONE, False), (DESKTOP, True)])
def test_both_texts_of_a_label_stand_side_by_side_where_there_is_room(
    browser: Browser, site: str, width: int, is_beside: bool
) -> None:
    with opened(browser, site + RESCORED_UNIT, width=width) as page:
        own, other = (one.bounding_box() for one in page.locator(".both > section").all())
        assert own is not None
        assert other is not None
        assert (own["y"] == other["y"]) is is_beside
        page.keyboard.press("ArrowRight")
        page.wait_for_url("**/132.html")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize(
    "path", ["/models/tiny/units/blocks.5.mlp.hook_post/140", OWN_COMPARED, RESCORED_UNIT]
)
def test_no_token_leaves_its_row(browser: Browser, site: str, path: str, width: int) -> None:
    with opened(browser, f"{site}{path}", width=width) as page:
        beyond = page.evaluate(
            """() => [...document.querySelectorAll(".tokens")].flatMap((row) => {
                const end = row.parentElement.getBoundingClientRect().right + 1;
                const inside = [row, ...row.querySelectorAll("*")];
                const parts = inside.flatMap((token) => [...token.getClientRects()]);
                return parts.filter((part) => part.right > end).map((part) => part.right - end);
            })"""
        )
        assert page.locator(".tokens").count()
        assert beyond == []


def test_what_moved_leads_to_the_unit_in_both_by_keys_alone(browser: Browser, site: str) -> None:
    with opened(browser, site + MOVED) as page:
        link = page.locator(".moved li a").first
        name = link.inner_text()
        link.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/compare?*")
        assert f"Labels of {name}, side by side" in page.locator("h1").inner_text()
        assert page.locator(".both > .said").count() == 2
        chosen = page.locator("select[name=b]")
        chosen.select_option("tiny")
        chosen.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**b=tiny*")


def test_an_exemplar_has_the_colour_and_number_of_its_sense(browser: Browser, site: str) -> None:
    with opened(browser, site + SENSED) as page:
        first = page.locator("ul[aria-label='Sense 1'] li").first
        assert first.locator(".tag").inner_text() == "1"
        colour = "one => getComputedStyle(one).borderLeftColor"
        assert first.evaluate(colour) == page.locator(".senses .s0").first.evaluate(colour)
        assert page.locator("ul[aria-label='Sense 2']").count() == 0


def test_a_number_in_a_table_stays_on_one_line(browser: Browser, site: str) -> None:
    """1,536 was two lines of a phone's table of layers."""
    with opened(browser, f"{site}/models/tiny", width=PHONE) as page:
        cell = page.locator(".layers td.number").first
        cell.evaluate("cell => { cell.textContent = '1,234,567'; }")
        lines = cell.evaluate(
            "cell => { const text = document.createRange(); text.selectNodeContents(cell);"
            " return text.getClientRects().length; }"
        )
        assert (lines, overflow(page)) == (1, 0)
