"""Pages for browsers, from what REST reads."""

from __future__ import annotations

import json
from functools import partial
from random import Random
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from autointerp.api.app_state import AppState, Reader, State
from autointerp.api.problems import Problem
from autointerp.api.routes.html_pages import html_page
from autointerp.api.routes.units import Hook, Index, Model
from autointerp.api.store_reads import in_thread
from autointerp.api.unit_pages import labels_of, records_of, unit_of
from autointerp.core.config import NO_LLM
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.ids import UnitId
from autointerp.pipeline.given_explanation import PERSON
from autointerp.store.search.label_index import LabelIndex, LabelPage, LabelQuery
from autointerp.web.model_view import ORDERS, Asked, ModelView, layer_lines, median_of
from autointerp.web.page_links import Links
from autointerp.web.page_templates import ASSETS, asset, render
from autointerp.web.unit_lists import NOWHERE, STATUS_WORDS, glances, unit_lines, unit_paths
from autointerp.web.unit_profile import UnitProfile

router = APIRouter(include_in_schema=False)
_LINKS = Links()
_N_ROWS = 50
_KEPT = {"Cache-Control": "max-age=3600"}


@router.get("/assets/{name}")
async def get_asset(name: Annotated[str, Path(max_length=100)]) -> Response:
    """Gives what pages need."""
    if name not in ASSETS:
        raise Problem(404, "route_unknown", "there is no such file")
    return Response(asset(name), media_type=ASSETS[name], headers=_KEPT)


@router.get("/models/{model}")
@html_page
async def model_page(
    request: Request,
    model: Model,
    state: State,
    _caller: Reader,
    q: Annotated[str, Query(max_length=200)] = "",
    layer: Annotated[str, Query(max_length=9)] = "",
    sort: Annotated[str, Query(max_length=20)] = "-score",
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> str:
    """Shows the layers of a model, and units by score or by words."""
    index = await state.indexes.fresh_soon(model)
    number = int(layer) if layer.isascii() and layer.isdigit() else None
    asked = Asked(q.strip(), number, sort if sort in ORDERS else "-score")
    order: Any = None if asked.sort == "matches" else asked.sort
    query = LabelQuery(layer=number, words=asked.words, sort=order, limit=_N_ROWS, cursor=cursor)
    try:
        page = index.loaded_page(query)
    except InputError as error:
        raise Problem(422, "bad_cursor", str(error)) from error
    # Not the whole address, of which a proxy may have changed the name and the scheme.
    following = request.url.include_query_params(cursor=page.next).query
    more = None if page.next is None else f"?{following}"
    # Who asks for something, or for more, wants that.
    glancing = asked == Asked() and cursor is None
    make = partial(_model, state, model, index, asked, page, more, glancing)
    return await in_thread(make)


@router.get("/models/{model}/units/{hook}/{index}")
@html_page
async def unit_page(model: Model, hook: Hook, index: Index, state: State, _caller: Reader) -> str:
    """Shows a unit: label, exemplars, real beside predicted, and what is behind it."""
    unit = unit_of(model, hook, index)
    return await in_thread(partial(_unit, state, unit))


def _model(  # noqa: PLR0913, PLR0917
    state: AppState,
    model: str,
    index: LabelIndex,
    asked: Asked,
    page: LabelPage,
    more: str | None,
    glancing: bool,
) -> str:
    view = index.view
    of, statuses, kinds, scores = view.statuses()
    senses = view.senses()
    lines = layer_lines(view.hooks, of, statuses, kinds, scores, senses, partial(_of_layer, model))
    rows = unit_lines(map(json.loads, page.rows), model, _LINKS)
    looks = tuple(glances(view, model, _LINKS, Random())) if glancing else ()
    shown = ModelView(model, _LINKS, len(of), median_of(scores), lines, rows, more, asked, looks)
    rescored = state.rescorings.of_model(model) if glancing else ()
    return render("model.html", {"links": _LINKS, "view": shown, "rescored": rescored})


def _of_layer(model: str, hook: str) -> str:
    return f"{_LINKS.model(model)}?layer={UnitId(model, hook, 0).layer}#units"


def _unit(state: AppState, unit: UnitId) -> str:
    store = state.indexes.store(unit.subject)
    unreadable: list[AutointerpError] = []
    labels = labels_of(partial(store.get_sides, unit), unit, unreadable)
    sides = [(label, records_of(store, label, unreadable.append)) for label in labels]
    known = state.indexes.ready(unit.subject)
    paths = NOWHERE
    if known is not None:
        paths = unit_paths(known.view, known.words, unit, _LINKS, Random())
    evidence = store.evidence_of(unit, unreadable.append)
    view = UnitProfile.of(unit, sides, _LINKS, paths, evidence)
    may_have_kept = known is None or known.has_kept
    kept = store.kept_of(unit, unreadable.append) if may_have_kept else ()
    values = {
        "links": _LINKS,
        "view": view,
        "words": STATUS_WORDS,
        "llms": [name for name in state.job_service.policy.llms if name != NO_LLM],
        "rescored": state.rescorings.of_labels(labels),
        "kept": [one for one in kept if (one.origin.explainer or "").startswith(f"{PERSON}:")],
    }
    return render("unit.html", values)
