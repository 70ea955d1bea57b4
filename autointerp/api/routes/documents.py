"""The document around a window of a unit's records, which a worker reads again."""

from __future__ import annotations

from functools import partial
from itertools import chain

from fastapi import APIRouter, Response

from autointerp.api.app_state import AppState, State, Submitter
from autointerp.api.problems import Problem
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.routes.units import Hook, Index, Model
from autointerp.api.routes.worker_requests import ask_worker, read_reply, refuse_unknown_model
from autointerp.api.schemas.document_schemas import (
    DocumentOut,
    DocumentRequest,
    LostDocumentOut,
    TextAroundOut,
)
from autointerp.api.store_reads import in_thread
from autointerp.api.unit_pages import labels_of, unit_of
from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import Label
from autointerp.core.ids import UnitId
from autointerp.core.records import ActivationRecord
from autointerp.core.unreadable import if_readable
from autointerp.dictionary.selections import LabelSelection

router = APIRouter(prefix="/v1/models/{model}", tags=["workers"])


@router.post(
    "/units/{hook}/{index}/document",
    responses=answers(200, DocumentOut, "The text around the window.")
    | problems(404, 409, 504, body=True),
)
async def document(  # noqa: PLR0913, PLR0917 - the parts of the path are parameters
    asked: DocumentRequest,
    model: Model,
    hook: Hook,
    index: Index,
    state: State,
    caller: Submitter,
) -> Response:
    """Reads the corpus again and shows the text around a window of a unit's records."""
    unit = unit_of(model, hook, index)
    label, record = await in_thread(partial(_record, state, unit, asked))
    made = label.provenance
    refuse_unknown_model(state, label.unit.subject)
    # What a label names is read as what a job names: from the server's corpora and folders.
    state.job_service.policy.check_corpus(made.corpus)
    payload = {
        "model": label.unit.subject,
        "corpus": made.corpus,
        "seed": made.seed,
        "document": record.document,
        "source": record.source,
        "offset": record.offset,
        "token_ids": record.token_ids,
    }
    reply = await ask_worker(state, caller, "document", payload, state.config.activations_s)
    if "reason" in reply:
        lost = read_reply(LostDocumentOut, reply)
        status, code = (409, "document_changed") if lost.has_changed else (404, "document_gone")
        raise Problem(status, code, lost.reason)
    found = read_reply(TextAroundOut, reply)
    result = DocumentOut(
        **found.model_dump(),
        corpus=made.corpus,
        source=record.source,
        document=record.document,
        offset=record.offset,
    )
    return Response(json_of(result), media_type=JSON)


def _record(
    state: AppState, unit: UnitId, asked: DocumentRequest
) -> tuple[Label, ActivationRecord]:
    """The window's record, and the label that it is kept with.

    Raises:
        Problem: 404.
    """
    store, unreadable = state.indexes.store(unit.subject), list[AutointerpError]()
    labels = [*labels_of(partial(store.get_sides, unit), unit, unreadable)]
    labels += store.kept_of(unit, unreadable.append)
    own = LabelSelection(unit.subject, asked.corpus, asked.explainer).labels(labels)
    label = own.get(asked.side) if asked.side else next(iter(own.values()), None)
    if label is None:
        raise Problem(404, "label_unknown", f"there is no such label of {unit}")
    sets = if_readable(partial(store.get_sets, unit, label.side, label.origin), unreadable.append)
    if sets is None:
        raise Problem(404, "window_unknown", "the texts were not kept with this label")
    parts = (sets.explain, sets.validation, sets.held_out)
    for record in chain(*(part.records for part in parts), sets.shown):
        if record.window == asked.window:
            return label, record
    raise Problem(404, "window_unknown", f"the label's records have no window {asked.window}")
