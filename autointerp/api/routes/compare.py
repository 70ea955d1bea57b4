"""A unit's labels side by side: all that there are, or those in two dictionaries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from autointerp.api.app_state import AppState, Reader, State
from autointerp.api.problems import Problem
from autointerp.api.routes.html_pages import html_page
from autointerp.api.routes.moved import chosen
from autointerp.api.store_reads import in_thread
from autointerp.api.unit_pages import labels_of, records_of, unit_of
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.explanations import Label
from autointerp.core.ids import UnitId
from autointerp.dictionary.selections import LabelSelection
from autointerp.web.compared_labels import JudgedLabel, compared_sides
from autointerp.web.moved_view import Choice
from autointerp.web.page_links import Links
from autointerp.web.page_templates import render

router = APIRouter(include_in_schema=False)
_LINKS = Links()
_Given = Annotated[str, Query(max_length=2000)]


@router.get("/compare")
@html_page
async def compare_page(  # noqa: PLR0913, PLR0917 - the parts of a unit are parameters
    state: State,
    _caller: Reader,
    model: Annotated[str, Query(max_length=200)] = "",
    hook: Annotated[str, Query(max_length=200)] = "",
    index: Annotated[int, Query(ge=0, le=10**9)] = 0,
    a: _Given = "",
    b: _Given = "",
) -> str:
    """Shows the newest label of each side beside those whose place it took, or A's beside B's."""
    return await in_thread(partial(_compare, state, unit_of(model, hook, index), a, b))


def _compare(state: AppState, unit: UnitId, a: str, b: str) -> str:
    unreadable: list[AutointerpError] = []
    asked = {"a": a, "b": b} if a and b else {"a": unit.subject}
    if a and b:
        both = [
            [*_in_dictionary(state, chosen(text), unit, name, unreadable)]
            for name, text in (("A", a), ("B", b))
        ]
        missing = [n for n, found in zip("AB", both, strict=True) if not found]
        labels = [label for found in both for label in found]
    else:
        store, missing = state.indexes.store(unit.subject), []
        labels = [
            JudgedLabel(label, records_of(store, label, unreadable.append))
            for label in _all_labels(state, unit, unreadable)
        ]
    values = {
        "links": _LINKS,
        "unit": unit,
        "sides": compared_sides(labels),
        "problems": [str(error) for error in unreadable],
        "missing": missing,
        "asked": asked,
        "choice": Choice.of(asked, state.comparisons.choices(state.stores.models())),
    }
    return render("compare.html", values)


def _in_dictionary(
    state: AppState,
    selection: LabelSelection,
    unit: UnitId,
    name: str,
    unreadable: list[AutointerpError],
) -> Iterator[JudgedLabel]:
    """Its labels of the unit of that layer and index; none where it has none."""
    store = state.indexes.store(selection.name)
    try:
        own = selection.unit_like(unit)
        labels = _all_labels(state, own, unreadable)
    except (Problem, InputError):
        return
    for label in selection.labels(labels).values():
        records = records_of(store, label, unreadable.append)
        yield JudgedLabel(label, records, f"{name}: {selection.title}", _LINKS.unit(own))


def _all_labels(
    state: AppState, unit: UnitId, unreadable: list[AutointerpError]
) -> tuple[Label, ...]:
    store = state.indexes.store(unit.subject)
    newest = labels_of(partial(store.get_sides, unit), unit, unreadable)
    return (*newest, *store.kept_of(unit, unreadable.append))
