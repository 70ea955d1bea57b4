"""Lists of labels, and search in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from autointerp.api.app_state import AppState, FastPathRoute, Reader, State, fast_path, reader_of
from autointerp.api.problems import Problem
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.routes.units import Model
from autointerp.api.schemas.label_schemas import LabelList, ListQuery, ModelList, ModelOut
from autointerp.api.semantic_search import SemanticMatches
from autointerp.api.store_reads import in_thread
from autointerp.core.errors import InputError
from autointerp.store.search.label_index import LabelQuery

router = APIRouter(prefix="/v1/models", tags=["labels"], route_class=FastPathRoute)


@router.get("", responses=answers(200, ModelList, "The models.") | problems())
def list_models(state: State, _caller: Reader) -> Response:
    """Lists the models that have labels, and those that jobs may name."""
    takes_jobs = state.job_service.policy.models
    counts: dict[str, tuple[int, str | None]] = dict.fromkeys(takes_jobs, (0, None))
    counts |= {model: state.indexes.count(model) for model in state.stores.models()}
    result = [
        ModelOut(model=name, n_labels=n, takes_jobs=name in takes_jobs, problem=problem)
        for name, (n, problem) in sorted(counts.items())
    ]
    return Response(json_of(ModelList(items=result)), media_type=JSON)


def _of_list(request: Request) -> Mapping[str, Any] | None:
    result, given = reader_of(request), request.query_params.multi_items()
    asked = dict(given)
    if result is None or len(asked) < len(given):
        return None
    try:
        query = ListQuery.model_validate(asked)
    except ValidationError:
        return None
    model = request.path_params["model"]
    return {"model": model, "state": result[0], "_caller": result[1], "query": query}


@router.get(
    "/{model}/labels",
    responses=answers(200, LabelList, "A page of labels.") | problems(404, 504),
)
@fast_path(_of_list)
async def list_labels(
    model: Model, state: State, _caller: Reader, query: Annotated[ListQuery, Query()]
) -> Response:
    """Lists and searches labels by layer, hook point, status, score, words and meaning."""
    index = await state.indexes.fresh(model)
    asked = LabelQuery(**query.model_dump(exclude={"q", "meaning"}), words=query.q or "")
    if query.meaning is not None:
        return await _near(
            state, partial(state.semantic_search.near, model, index, asked, query.meaning)
        )
    try:
        page = index.loaded_page(asked)
    except InputError as error:
        raise Problem(422, "bad_cursor", str(error)) from error
    # The rows travel as they are kept.
    items = b",".join(row.strip() for row in page.rows)
    body = b'{"items":[' + items + b'],"next":' + json.dumps(page.next).encode() + b"}"
    return Response(body, media_type=JSON)


async def _near(state: AppState, search: Callable[[], SemanticMatches]) -> Response:
    state.worker_calls.check("", "requests to workers")
    with state.worker_calls.one(""):
        near = await in_thread(search, state.waiting_threads)
    items = b",".join(row.strip() for row in near.rows)
    likeness = json.dumps(near.likeness).encode()
    body = b'{"items":[' + items + b'],"next":null,"likeness":' + likeness + b"}"
    return Response(body, media_type=JSON)
