"""What a job would cost, before it is submitted."""

from __future__ import annotations

from fastapi import APIRouter, Response

from autointerp.api.app_state import Reader, State
from autointerp.api.job_estimates import estimate
from autointerp.api.request_checks import check_job_request
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.schemas.estimate_schemas import EstimateOut
from autointerp.api.schemas.job_schemas import JobRequest

router = APIRouter(prefix="/v1/estimates", tags=["jobs"])


@router.post(
    "",
    responses=answers(200, EstimateOut, "What it would need.") | problems(body=True),
    summary="Say what a labelling job would cost",
)
def estimate_job(asked: JobRequest, state: State, _caller: Reader) -> Response:
    """Says what a job of the same body would need; nothing is submitted, and no worker asked."""
    check_job_request(asked, state.config, state.job_service.policy, state.backend.jobs)
    return Response(json_of(estimate(asked, state.config, state.backend)), media_type=JSON)
