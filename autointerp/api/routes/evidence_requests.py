"""What costs forward passes: units held, put back between prompts or pushed, by a worker."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Response

from autointerp.api.app_state import State, Submitter
from autointerp.api.problems import Problem
from autointerp.api.request_checks import check_units, facts_of, read_units
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.routes.units import Model
from autointerp.api.routes.worker_requests import ask_worker, read_reply, refuse_unknown_model
from autointerp.api.schemas.evidence_schemas import (
    MOST_ASKED,
    CausalEvidenceOut,
    EvidenceRequest,
    UnlabelledOut,
)
from autointerp.api.store_reads import in_thread
from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.config import Budget, JobSpec

router = APIRouter(prefix="/v1/models/{model}", tags=["workers"])


@router.post(
    "/evidence",
    responses=answers(200, CausalEvidenceOut, "Each number beside its controls.")
    | problems(404, 504, body=True),
)
async def evidence(
    asked: EvidenceRequest, model: Model, state: State, caller: Submitter
) -> Response:
    """Holds units at zero, puts them back between prompts, or pushes them, beside controls.

    Ablation and attribution take the texts that were kept with the units' labels; patching and
    steering need none. What takes longer than a request may is refused, with what would fit.
    """
    subject = await state.indexes.subject_of(model)
    refuse_unknown_model(state, subject)
    _refuse_other_fields(asked)
    units = read_units(asked.units)
    # Files that units may name are those that a job may name.
    state.job_service.policy.check(
        JobSpec(subject=subject, units=asked.units, llm="none"), Budget()
    )
    facts = await in_thread(partial(facts_of, state.backend.jobs, subject))
    check_units(units, facts, limit=MOST_ASKED)
    most_s = state.config.evidence_s
    payload = {
        **asked.model_dump(mode="json", exclude_none=True),
        **{"model": subject, "labels": model, "most_units": MOST_ASKED, "most_s": most_s},
    }
    reply = await ask_worker(state, caller, "evidence", payload, most_s)
    if "unlabelled" in reply:
        raise Problem(404, "label_unknown", read_reply(UnlabelledOut, reply).reason)
    return Response(json_of(read_reply(CausalEvidenceOut, reply)), media_type=JSON)


def _refuse_other_fields(asked: EvidenceRequest) -> None:
    """Refuses texts that the kind does not take, or does not have.

    Raises:
        Problem: 422.
    """
    of_patching = ("prompt", "counterfactual", "answers", "position")
    given = [name for name in of_patching if getattr(asked, name) is not None]
    if asked.kind is not EvidenceKind.PATCHING and given:
        found = " and ".join(given)
        raise Problem(422, "invalid_request", f"{found}: kind patching alone takes this")
    missing = [name for name in of_patching[:2] if name not in given]
    if asked.kind is EvidenceKind.PATCHING and missing:
        detail = (
            "patching needs prompt and counterfactual, two texts of as many tokens; no LLM writes "
            f"one here. There is no {' and no '.join(missing)}"
        )
        raise Problem(422, "invalid_request", detail)
