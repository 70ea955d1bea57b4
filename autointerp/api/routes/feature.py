"""A unit as Neuronpedia answers it, so that its readers work unchanged."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from autointerp.api.dependencies import Reader, State
from autointerp.api.problems import Problem
from autointerp.api.routes.responses import JSON, problems, tagged
from autointerp.api.routes.units import Index, Model
from autointerp.api.unit_pages import labels_of, records_of, unit_of
from autointerp.core.errors import InputError
from autointerp.dictionary.neuronpedia import hook_of_source, unit_lines
from autointerp.store.codec import plain_json

router = APIRouter(prefix="/api", tags=["neuronpedia"])

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


@router.get(
    "/feature/{model}/{layer}/{index}", response_class=Response, responses=_ROW | problems(404)
)
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
    labels = labels_of(store, unit)
    by_side = {label.side: label for label in labels}
    lines = unit_lines(
        tuple(label.summary for label in labels),
        lambda _unit, side: records_of(store, by_side[side]),
        corpus=labels[0].provenance.corpus,
    )
    row = {
        **lines.features[0],
        "activations": lines.activations,
        "explanations": lines.explanations,
    }
    return tagged(plain_json(row), request.headers, media_type=JSON)
