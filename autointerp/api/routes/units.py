"""Everything about one unit, in our form and as Neuronpedia answers it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from autointerp.api.app_state import AppState, FastPathRoute, Reader, State, fast_path, reader_of
from autointerp.api.problems import Problem
from autointerp.api.routes.responses import JSON, answers, problems, tagged
from autointerp.api.schemas.unit_schemas import UnitPage, UnitQuery
from autointerp.api.store_reads import in_thread
from autointerp.api.tagged_body import TaggedBody
from autointerp.api.unit_pages import (
    UnitPageReader,
    labels_of,
    page_of_origin,
    records_of,
    unit_of,
)
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.ids import UnitId
from autointerp.dictionary.neuronpedia import hook_of_source, unit_lines
from autointerp.store.codec import plain_json

router = APIRouter(prefix="/v1/models/{model}", tags=["labels"], route_class=FastPathRoute)
neuronpedia_router = APIRouter(prefix="/api", tags=["neuronpedia"])
"""Answers in Neuronpedia's form, so that its readers work unchanged."""

_INDEX = re.compile(r"\d{1,9}", re.ASCII)

Model = Annotated[str, Path(examples=["smollm2-135m"])]
Hook = Annotated[str, Path(examples=["blocks.5.mlp.hook_post"])]
Index = Annotated[int, Path(ge=0, le=10**9, examples=[131])]
Corpus = Annotated[
    str | None, Query(max_length=1000, description="Of labels that were made from this text.")
]
OfExplainer = Annotated[
    str | None, Query(max_length=100, description="Of labels by this explainer.")
]
_NOTHING_ASKED = UnitQuery()
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
        "asked": _NOTHING_ASKED,
    }


@router.get(
    "/units/{hook}/{index}",
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
    asked: Annotated[UnitQuery, Query()],
) -> Response:
    """Shows a unit: label, explanations, scores, exemplars by band, statistics, provenance."""
    unit = unit_of(model, hook, index)
    if asked.corpus is None and asked.explainer is None:
        page = await _read(state, unit, asked.trials)
    else:
        store = state.indexes.store(model)
        page = await in_thread(partial(page_of_origin, store, unit, **asked.model_dump()))
    return tagged(page, request.headers, media_type=JSON)


async def _read(state: AppState, unit: UnitId, trials: bool) -> TaggedBody:
    model, pages = unit.subject, state.unit_pages
    if state.indexes.is_near(model):
        store = state.indexes.store(model)
        page = partial(pages.page, trials=trials, has_kept=True)
        near = partial(page, store, unit, partial(store.get_sides, unit))
        return await state.batched_reads.run(near, near=True)
    # Each page of a remote store is read anew: without labels to name, one question less.
    reader = UnitPageReader(state.indexes, pages, model, state.indexes.may_have_kept(model))
    make = partial(await state.combined_reads.read(reader, unit), trials=trials)
    return await state.batched_reads.run(make, near=state.indexes.are_sets_near(model))


_ROW: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The row; activations are raw, and what was not measured is empty or null.",
        "headers": {"ETag": {"description": "Of this answer.", "schema": {"type": "string"}}},
        "content": {
            JSON: {
                "schema": {
                    "type": "object",
                    "required": ["modelId", "layer", "index", "activations", "explanations"],
                    "properties": {
                        "modelId": {"type": "string"},
                        "layer": {"type": "string"},
                        "index": {"type": "string"},
                        "activations": {"type": "array", "items": {"type": "object"}},
                        "explanations": {"type": "array", "items": {"type": "object"}},
                    },
                }
            }
        },
    },
    304: {"description": "What the caller has is what there is."},
}


@neuronpedia_router.get("/feature/{model}/{layer}/{index}", responses=_ROW | problems(404))
def get_feature(
    request: Request,
    model: Model,
    layer: Annotated[
        str,
        Path(
            examples=["5"],
            description="5 for blocks.5.mlp.hook_post, 5-mlp.hook_pre for another hook point.",
        ),
    ],
    index: Index,
    state: State,
    _caller: Reader,
) -> Response:
    """Shows a unit with its activations and explanations as Neuronpedia does."""
    try:
        hook = hook_of_source(layer)
    except InputError as error:
        raise Problem(404, "unit_unknown", str(error)) from error
    unit = unit_of(model, hook, index)
    store = state.indexes.store(model)
    unreadable: list[AutointerpError] = []
    labels = labels_of(partial(store.get_sides, unit), unit, unreadable)
    by_side = {label.side: label for label in labels}
    lines = unit_lines(
        tuple(label.summary for label in labels),
        lambda _unit, side: records_of(store, by_side[side], unreadable.append),
    )
    row = {
        **lines.features[0],
        "activations": lines.activations,
        "explanations": lines.explanations,
    }
    return tagged(TaggedBody.of(plain_json(row)), request.headers, media_type=JSON)
