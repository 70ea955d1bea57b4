"""Everything about one unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from autointerp.api.deps import Asking, Kit, Reader
from autointerp.api.etags import tagged
from autointerp.api.lean import LeanRoute, lean, read_by
from autointerp.api.pages import UnitReading, unit_of, unit_page
from autointerp.api.routes.responses import JSON, answers, problems
from autointerp.api.schemas import UnitPage
from autointerp.core.ids import UnitId

router = APIRouter(prefix="/v1/models/{model}", tags=["labels"], route_class=LeanRoute)

_INDEX = re.compile(r"\d{1,9}", re.ASCII)

Model = Annotated[str, Path(examples=["smollm2-135m"])]
Hook = Annotated[str, Path(examples=["blocks.5.mlp.hook_post"])]
Index = Annotated[int, Path(ge=0, le=10**9, examples=[131])]
_SAME = {304: {"description": "What the caller has is what there is."}}


def _of_unit(request: Request) -> Mapping[str, Any] | None:
    found, path = read_by(request), request.path_params
    if found is None or request.scope["query_string"] or not _INDEX.fullmatch(path["index"]):
        return None
    return {
        "request": request,
        "model": path["model"],
        "hook": path["hook"],
        "index": int(path["index"]),
        "kit": found[0],
        "_caller": found[1],
    }


@router.get(
    "/units/{hook}/{index}",
    response_class=Response,
    responses=answers(200, UnitPage, "The unit.", ETag="Of this answer.") | _SAME | problems(404),
)
@lean(_of_unit)
async def get_unit(
    request: Request,
    model: Model,
    hook: Hook,
    index: Index,
    kit: Asking,
    _caller: Reader,
    trials: Annotated[
        bool, Query(description="With every question that was put to a scorer.")
    ] = False,
) -> Response:
    """Shows a unit: label, explanations, scores, exemplars by band, statistics, provenance."""
    unit = unit_of(model, hook, index)
    body = await _read(kit, unit, trials)
    return tagged(body, request.headers, media_type=JSON)


async def _read(kit: Kit, unit: UnitId, trials: bool) -> bytes:
    model = unit.subject
    if kit.indexes.is_near(model):
        store = kit.indexes.store(model)
        near = partial(unit_page, store, unit, partial(store.get_sides, unit), trials=trials)
        return await kit.reading.run(near, near=True)
    page = await kit.shared.read(UnitReading(kit.indexes, model), unit)
    make = partial(page, trials=trials)
    return await kit.reading.run(make, near=kit.indexes.are_sets_near(model))
