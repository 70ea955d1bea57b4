"""Everything about one unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from autointerp.api.dependencies import AppState, Reader, State
from autointerp.api.fast_path import FastPathRoute, fast_path, reader_of
from autointerp.api.routes.responses import JSON, answers, problems, tagged
from autointerp.api.schemas import UnitPage
from autointerp.api.unit_pages import UnitPageReader, unit_of, unit_page
from autointerp.core.ids import UnitId

router = APIRouter(prefix="/v1/models/{model}", tags=["labels"], route_class=FastPathRoute)

_INDEX = re.compile(r"\d{1,9}", re.ASCII)

Model = Annotated[str, Path(examples=["smollm2-135m"])]
Hook = Annotated[str, Path(examples=["blocks.5.mlp.hook_post"])]
Index = Annotated[int, Path(ge=0, le=10**9, examples=[131])]
_SAME = {304: {"description": "What the caller has is what there is."}}


def _of_unit(request: Request) -> Mapping[str, Any] | None:
    result, path = reader_of(request), request.path_params
    if result is None or request.scope["query_string"] or not _INDEX.fullmatch(path["index"]):
        return None
    return {
        "request": request,
        "model": path["model"],
        "hook": path["hook"],
        "index": int(path["index"]),
        "state": result[0],
        "_caller": result[1],
    }


@router.get(
    "/units/{hook}/{index}",
    response_class=Response,
    responses=answers(200, UnitPage, "The unit.", ETag="Of this answer.") | _SAME | problems(404),
)
@fast_path(_of_unit)
async def get_unit(
    request: Request,
    model: Model,
    hook: Hook,
    index: Index,
    state: State,
    _caller: Reader,
    trials: Annotated[
        bool, Query(description="With every question that was put to a scorer.")
    ] = False,
) -> Response:
    """Shows a unit: label, explanations, scores, exemplars by band, statistics, provenance."""
    unit = unit_of(model, hook, index)
    body = await _read(state, unit, trials)
    return tagged(body, request.headers, media_type=JSON)


async def _read(state: AppState, unit: UnitId, trials: bool) -> bytes:
    model = unit.subject
    if state.indexes.is_near(model):
        store = state.indexes.store(model)
        near = partial(unit_page, store, unit, partial(store.get_sides, unit), trials=trials)
        return await state.batched_reads.run(near, near=True)
    page = await state.combined_reads.read(UnitPageReader(state.indexes, model), unit)
    make = partial(page, trials=trials)
    return await state.batched_reads.run(make, near=state.indexes.are_sets_near(model))
