"""What costs forward passes: units held, put back between prompts or pushed, by a worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from autointerp.api.app_state import Reader, State, Submitter
from autointerp.api.problems import Problem
from autointerp.api.request_checks import check_units, facts_of, read_units, refuse_other_fields
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.routes.units import Hook, Index, Model
from autointerp.api.routes.worker_requests import ask_worker, read_reply, refuse_unknown_model
from autointerp.api.schemas.evidence_results import CausalEvidenceOut
from autointerp.api.schemas.evidence_schemas import (
    MOST_ASKED,
    EvidenceRequest,
    KeptEvidenceList,
    KeptEvidenceOut,
    UnlabelledOut,
)
from autointerp.api.store_reads import in_thread
from autointerp.api.unit_pages import unit_of
from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.config import Budget, CorpusConfig, JobSpec
from autointerp.core.errors import AutointerpError
from autointerp.core.kept_evidence import KeptEvidence, kept_json
from autointerp.core.unreadable import pass_over

router = APIRouter(prefix="/v1/models/{model}", tags=["workers"])

_NDJSON = "application/x-ndjson"
_LINES = {_NDJSON: {"schema": {"type": "string", "format": "binary"}}}


@router.post(
    "/evidence",
    responses=answers(200, CausalEvidenceOut, "Each number beside its controls.")
    | problems(404, 504, body=True),
)
async def evidence(
    asked: EvidenceRequest, model: Model, state: State, caller: Submitter
) -> Response:
    """Holds units at zero, puts them back between prompts, or pushes them, beside controls.

    Ablation and attribution take the texts that were kept with the units' labels, sites a corpus;
    patching and steering need none. What takes longer than a request may is refused, with what
    would fit.
    """
    subject = await state.indexes.subject_of(model)
    refuse_unknown_model(state, subject)
    refuse_other_fields(asked)
    if asked.keep and asked.together:
        detail = "keep: answers are kept of single units; leave out together"
        raise Problem(422, "invalid_request", detail)
    units, text = read_units(asked.units), _text_of_sites(asked)
    # Files that units and text may name are those that a job may name.
    spec = JobSpec(subject=subject, units=asked.units, corpus=text or CorpusConfig(), llm="none")
    state.job_service.policy.check(spec, Budget())
    facts = await in_thread(partial(facts_of, state.backend.jobs, subject))
    check_units(units, facts, limit=MOST_ASKED)
    most_s = state.config.evidence_s
    payload = {
        **asked.model_dump(mode="json", exclude_none=True, exclude={"corpus", "tokens", "keep"}),
        **({"keep": True} if asked.keep else {}),
        **({"text": text.model_dump(mode="json")} if text else {}),
        **{"model": subject, "labels": model, "most_units": MOST_ASKED, "most_s": most_s},
    }
    reply = await ask_worker(state, caller, "evidence", payload, most_s)
    if "unlabelled" in reply:
        raise Problem(404, "label_unknown", read_reply(UnlabelledOut, reply).reason)
    return Response(json_of(read_reply(CausalEvidenceOut, reply)), media_type=JSON)


@router.get(
    "/evidence",
    tags=["labels"],
    responses=problems(404) | {200: {"description": "A line an answer.", "content": _LINES}},
)
async def all_evidence(model: Model, state: State, _caller: Reader) -> Response:
    """Downloads the causal evidence that is kept of all units, as JSON lines."""
    store = await in_thread(partial(state.indexes.store, model))

    def lines() -> Iterator[bytes]:
        for kept in store.all_evidence(pass_over):
            yield json.dumps(kept_json(kept)).encode() + b"\n"

    return StreamingResponse(lines(), media_type=_NDJSON)


@router.get(
    "/units/{hook}/{index}/evidence",
    tags=["labels"],
    responses=answers(200, KeptEvidenceList, "By kind, the oldest first.") | problems(404),
)
async def kept_evidence(
    model: Model, hook: Hook, index: Index, state: State, _caller: Reader
) -> Response:
    """Lists the causal evidence that jobs and requests have kept of a unit; no worker is asked."""
    unit = unit_of(model, hook, index)
    unreadable: list[AutointerpError] = []

    def read() -> tuple[KeptEvidence, ...]:
        return state.indexes.store(model).evidence_of(unit, unreadable.append)

    found = [KeptEvidenceOut.model_validate(kept_json(kept)) for kept in await in_thread(read)]
    body = KeptEvidenceList(items=found, unreadable=list(map(str, unreadable)))
    return Response(json_of(body), media_type=JSON)


def _text_of_sites(asked: EvidenceRequest) -> CorpusConfig | None:
    """The text that is read; None where none is.

    Raises:
        Problem: 422 where there is a text that the kind does not read.
    """
    if asked.kind is EvidenceKind.SITES:
        return CorpusConfig(corpus=asked.corpus, n_tokens=asked.tokens)
    given = sorted(asked.model_fields_set & {"corpus", "tokens"})
    if given:
        detail = f"{' and '.join(given)}: kind sites alone takes this"
        raise Problem(422, "invalid_request", detail)
    return None
