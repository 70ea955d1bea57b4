"""What moved between two dictionaries of the server: as JSON and as a page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from autointerp.api.app_state import AppState, Reader, State
from autointerp.api.problems import Problem
from autointerp.api.routes.html_pages import html_page, sentence
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.schemas.diff_schemas import DiffOut, DiffQuery
from autointerp.api.store_reads import in_thread
from autointerp.core.errors import AutointerpError, InputError, first_problem
from autointerp.dictionary.comparison_json import pair_json
from autointerp.dictionary.selections import LabelSelection
from autointerp.store.search.cursors import made_cursor, position_of
from autointerp.web.moved_view import Choice, MovedView
from autointerp.web.page_links import Links
from autointerp.web.page_templates import render

router = APIRouter(prefix="/v1", tags=["labels"])
pages_router = APIRouter(include_in_schema=False)
_ON_A_PAGE = 15


@router.get(
    "/diff", responses=answers(200, DiffOut, "What moved, a page of units.") | problems(404)
)
async def diff(state: State, _caller: Reader, query: Annotated[DiffQuery, Query()]) -> Response:
    """Compares two dictionaries of this server: labels that changed, scores that moved."""
    for text in (query.a, query.b):
        await state.indexes.fresh_soon(chosen(text).name)
    found = await in_thread(partial(diff_of, state, query))
    return Response(json_of(found), media_type=JSON)


@pages_router.get("/moved")
@html_page
async def moved_page(request: Request, state: State, _caller: Reader) -> str:
    """Shows the same in a browser, and the choice of the two before."""
    asked = {key: value for key, value in request.query_params.items() if value}
    problem = None
    if {"a", "b"} <= asked.keys():
        try:
            for key in ("a", "b"):
                await state.indexes.fresh_soon(chosen(asked[key]).name)
        except Problem as error:
            if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            problem = error.detail
    return await in_thread(partial(_page, state, asked, problem))


def chosen(text: str) -> LabelSelection:
    """What a parameter names.

    Raises:
        Problem: 422.
    """
    try:
        return LabelSelection.parse(text)
    except InputError as error:
        raise Problem(422, "dictionary_unknown", str(error)) from error


def diff_of(state: AppState, query: DiffQuery) -> DiffOut:
    """The comparison, and the pairs of the page that is asked for.

    Raises:
        Problem: there is no such dictionary, page, or unit in both.
    """
    a, b = chosen(query.a), chosen(query.b)
    stores = state.indexes.store(a.name), state.indexes.store(b.name)
    compared, unreadable = state.comparisons.of(a, b), list[AutointerpError]()
    places = compared.moves.listed(query.only, query.sort)
    text = json.dumps([str(a), str(b), query.only, query.sort])
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    try:
        start = position_of(query.cursor, digest, "moved")[0] if query.cursor else 0
    except InputError as error:
        raise Problem(422, "bad_cursor", str(error)) from error
    end = start + query.limit
    pairs = compared.pairs(places[max(0, start) : end], stores, unreadable.append)
    return DiffOut(
        a=str(a),
        b=str(b),
        differing_inputs=list(compared.differing),
        **compared.moves.summary,
        n_listed=len(places),
        units=[pair_json(pair) for pair in pairs],  # type: ignore[misc]
        next=made_cursor(digest, [end]) if end < len(places) else None,
        unreadable=[str(error) for error in unreadable],
    )


def _page(state: AppState, asked: Mapping[str, str], problem: str | None) -> str:
    found = None
    try:
        if problem is None and {"a", "b"} <= asked.keys():
            query = DiffQuery.model_validate({"limit": _ON_A_PAGE, **asked})
            found = diff_of(state, query).model_dump()
    except ValidationError as error:
        problem = first_problem(error)
    except Problem as error:
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        problem = error.detail
    choice = Choice.of(asked, state.comparisons.choices(state.stores.models()))
    view = MovedView.of(asked, choice, found, problem and sentence(problem))
    return render("moved.html", {"links": Links(), "view": view})
