"""Which units fire on a text: the strongest of chosen layers, with what their labels say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Response

from autointerp.api.app_state import AppState, State, Submitter
from autointerp.api.label_maxima import LabelMaxima
from autointerp.api.problems import Problem
from autointerp.api.request_checks import facts_of
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.routes.units import Model
from autointerp.api.routes.worker_requests import (
    ask_worker,
    check_text,
    read_reply,
    refuse_too_long,
    refuse_unknown_model,
)
from autointerp.api.schemas.strongest_schemas import (
    FoundUnit,
    FoundUnits,
    StrongestOut,
    StrongestRequest,
    StrongUnitOut,
)
from autointerp.api.store_reads import in_thread
from autointerp.core.ids import UnitId

router = APIRouter(prefix="/v1/models/{model}", tags=["workers"])


@router.post(
    "/strongest",
    responses=answers(200, StrongestOut, "The strongest units.") | problems(404, 504, body=True),
)
async def strongest(
    asked: StrongestRequest, model: Model, state: State, caller: Submitter
) -> Response:
    """Finds the units that a text makes most active, each beside its label's maximum."""
    subject = await state.indexes.subject_of(model)
    refuse_unknown_model(state, subject)
    check_text(state, asked)
    facts = await in_thread(partial(facts_of, state.backend.jobs, subject))
    beyond = [i for i in asked.layers or () if facts is not None and i >= facts.n_layers]
    if beyond and facts is not None:
        detail = f"layer {beyond[0]}: the model has the layers 0 to {facts.n_layers - 1}"
        raise Problem(422, "unit_unknown", detail)
    labels, maxima = await in_thread(partial(_labels, state, model, asked.layers))
    given = asked.model_dump(exclude_none=True)
    payload = {**given, "model": subject, "maxima": maxima}
    reply = await ask_worker(state, caller, "strongest", payload, state.config.activations_s)
    found = read_reply(FoundUnits, reply)
    refuse_too_long(state, len(found.tokens))
    units = [_with_label(one, found, labels) for one in found.units]
    result = StrongestOut(
        model=found.model,
        text=found.text,
        tokenized=asked.token_ids is None,
        token_ids=found.token_ids,
        tokens=found.tokens,
        hooks=found.hooks,
        ranked_by="relative" if units and units[0].relative is not None else "activation",
        units=units,
    )
    return Response(json_of(result), media_type=JSON)


def _labels(
    state: AppState, model: str, layers: Sequence[int] | None
) -> tuple[LabelMaxima, list[dict[str, Any]]]:
    """What labels say, and of it what a worker needs; nothing where the model has none.

    Of a large model that takes longer than other requests should wait.
    """
    try:
        rows, _ = state.indexes.of(model).rows()
    except Problem:
        return LabelMaxima(()), []
    labels = state.label_maxima.of(model, rows)
    return labels, labels.of_layers(layers)


def _with_label(one: FoundUnit, found: FoundUnits, labels: LabelMaxima) -> StrongUnitOut:
    unit = UnitId.parse(one.unit)
    row = labels.row(unit.hook, unit.index, one.side)
    return StrongUnitOut(
        **one.model_dump(),
        hook=unit.hook,
        layer=unit.layer,
        index=unit.index,
        token=found.tokens[one.position],
        description=row.get("description"),
        score=row.get("score"),
    )
