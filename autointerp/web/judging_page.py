"""The page on which a person judges items of a blinded study with two keys."""

from __future__ import annotations

from autointerp.core.blind_study import StudyItem
from autointerp.web.page_templates import render


def judging_page(item: StudyItem | None, *, n_judged: int, n_items: int, token: str) -> str:
    """The page of one item, or where None, that all are judged.

    `token` is what forms have to send back, by which other pages' forms are told.
    """
    values = {"item": item, "n_judged": n_judged, "n_items": n_items, "token": token}
    return render("judging.html", values)
