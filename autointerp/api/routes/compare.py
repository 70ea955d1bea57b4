"""A unit's labels from different texts and by different explainers, side by side."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from autointerp.api.app_state import AppState, Reader, State
from autointerp.api.routes.html_pages import html_page
from autointerp.api.store_reads import in_thread
from autointerp.api.unit_pages import labels_of, records_of, unit_of
from autointerp.core.errors import AutointerpError
from autointerp.core.ids import UnitId
from autointerp.web.compared_labels import compared_sides
from autointerp.web.page_links import Links
from autointerp.web.page_templates import render

router = APIRouter(include_in_schema=False)


@router.get("/compare")
@html_page
async def compare_page(
    state: State,
    _caller: Reader,
    model: Annotated[str, Query(max_length=200)] = "",
    hook: Annotated[str, Query(max_length=200)] = "",
    index: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> str:
    """Shows the newest label of each side beside those whose place it took."""
    return await in_thread(partial(_compare, state, unit_of(model, hook, index)))


def _compare(state: AppState, unit: UnitId) -> str:
    store, unreadable = state.indexes.store(unit.subject), list[AutointerpError]()
    labels = [*labels_of(partial(store.get_sides, unit), unit, unreadable)]
    labels += store.kept_of(unit, unreadable.append)
    read = [(label, records_of(store, label, unreadable.append)) for label in labels]
    sides = compared_sides(read)
    problems = [str(error) for error in unreadable]
    values = {"links": Links(), "unit": unit, "sides": sides, "problems": problems}
    return render("compare.html", values)
