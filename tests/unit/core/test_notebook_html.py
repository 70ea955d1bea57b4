"""Values as HTML: nothing of a text or a model is markup, and colours follow activations."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from factories import make_label, make_sets
from typing_extensions import override

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.notebook_html import (
    facts_html,
    label_html,
    labels_html,
    table_html,
    tokens_html,
    visible_text,
)

EVIL = "<script>alert(1)</script>&\"'"


class Tags(HTMLParser):
    """Names of the elements that are open, and the text between."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_is_shown_is_escaped_and_stays_readable() -> None:
    pages = (
        tokens_html([EVIL], [1.0], peak=1.0),
        facts_html(EVIL, {EVIL: EVIL}),
        table_html((EVIL,), [(EVIL,)]),
    )
    for page in pages:
        tags = Tags(page)
        assert EVIL in tags.text
        assert not tags.open
        assert tags.seen <= {"span", "div", "b", "table", "thead", "tbody", "tr", "th", "td"}


def test_tokens_are_the_darker_the_nearer_they_are_to_the_peak() -> None:
    page = tokens_html([" a", " b", " c", " d"], [2.0, 1.0, 0.0, -3.0], peak=2.0)
    opacities = [float(x) for x in re.findall(r"rgba\([^)]*,([0-9.]+)\)", page)]
    assert opacities == [0.6, 0.3]
    assert re.findall(r'title="([^"]*)"', page) == ["2", "1"]
    assert Tags(page).text == " a b c d"
    assert "rgba" not in tokens_html([" a"], [1.0], peak=0.0)


def test_line_breaks_and_what_is_unseen_are_written_out() -> None:
    assert visible_text("a\nb\tc\x1b\u202e") == "a\u21b5b\u21e5c\\u001b\\u202e"


def test_a_label_is_shown_with_its_exemplars_and_predictions() -> None:
    sets = make_sets()
    page = label_html(make_label(), sets.explain.records, sets.held_out.records)
    tags = Tags(page)
    assert not tags.open
    assert make_label().explanation.text in tags.text  # type: ignore[union-attr]
    assert "exemplars" in tags.text
    assert "rgba(30, 120, 230" in page
    assert "script" not in tags.seen
    assert make_label()._repr_html_().startswith("<div>")


def test_labels_without_a_score_or_an_explanation_say_why() -> None:
    dead = make_label(status=LabelStatus.DEAD)
    tags = Tags(labels_html([dead, make_label(side=Side.NEGATIVE)]))
    assert "2 labels" in tags.text
    assert str(dead.reason) in tags.text


def test_of_very_many_labels_the_others_are_counted() -> None:
    assert "... and 30 more" in Tags(labels_html([make_label()] * 80)).text
