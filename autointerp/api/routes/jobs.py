"""Jobs: submitted, listed, watched, stopped, tried again."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import Field

from autointerp.api.api_config import KEY_NAME, Caller, Scope
from autointerp.api.app_state import AppState, Reader, State, Submitter
from autointerp.api.middleware.request_log import audit
from autointerp.api.problems import Problem
from autointerp.api.request_checks import check_job_request
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.schemas import Wire
from autointerp.api.schemas.job_schemas import (
    JobList,
    JobListed,
    JobOut,
    JobRequest,
    JobShort,
)
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.job_state import Job, JobState
from autointerp.orchestration.schedule import ASKED_WITHOUT, LLM_AWAITED, UNSEEN_TEXT
from autointerp.store.jobs import JobStore

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_JOB_ID = re.compile(r"job_[0-9a-z]{1,40}")
_FULL_S = 30
_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same body gives the same job; with another: 409.",
    ),
]


class JobsQuery(Wire):
    """Which jobs are listed."""

    state: list[JobState] = Field(default=[], description="Any of these; all where none is given.")
    owner: str | None = Field(
        default=None, pattern=KEY_NAME, description="Of one key, by its name."
    )
    cursor: str | None = Field(default=None, max_length=200, description="`next` of a page.")
    limit: int = Field(default=50, ge=1, le=200)
    short: bool = Field(default=False, description="Each job in a line's worth of values.")


@router.post(
    "",
    status_code=202,
    responses=answers(202, JobOut, "The job, queued.", Location="Path of the job.")
    | problems(409, body=True),
    summary="Submit a labelling job",
)
def submit(asked: JobRequest, state: State, caller: Submitter, key: _Key = None) -> Response:
    """Submits a job: which units of which model are explained and scored, and with which LLM."""
    check_job_request(asked, state.config, state.job_service.policy, state.backend.jobs)
    _refuse_too_often(state, caller)
    # A job that is there already needs no place among those that wait.
    if key is None or state.backend.jobs.submitted(caller.name, key) is None:
        _refuse_too_much(state, caller)
    try:
        job = state.job_service.submit(
            asked.spec, asked.budget.to_budget(), owner=caller.name, key=key
        )
    except InputError as error:
        if key is None:
            raise
        # What may be asked for was checked before: what is left is the key.
        raise Problem(409, "idempotency_conflict", str(error)) from error
    audit("submit", job=job.id, key=caller.name, subject=asked.subject)
    headers = {"Location": f"/v1/jobs/{job.id}"}
    return Response(
        json_of(shown_job(state.backend.jobs, job)), 202, headers=headers, media_type=JSON
    )


@router.get("", responses=answers(200, JobList, "A page of jobs.") | problems())
def list_jobs(state: State, _caller: Reader, query: Annotated[JobsQuery, Query()]) -> Response:
    """Lists jobs, newest first."""
    unreadable: list[AutointerpError] = []
    result = state.backend.jobs.find(
        owner=query.owner,
        states=query.state,
        before=_decoded(query.cursor),
        limit=query.limit + 1,
        on_unreadable=unreadable.append,
    )
    more = len(result) > query.limit
    page = result[: query.limit]
    cursor = base64.urlsafe_b64encode(page[-1].id.encode()).decode() if more else None
    body = JobList(
        items=[JobShort.of(job) for job in page]
        if query.short
        else [JobListed.of(job) for job in page],
        next=cursor,
        unreadable=[str(error) for error in unreadable],
    )
    return Response(json_of(body), media_type=JSON)


@router.get(
    "/{job_id}",
    responses=answers(200, JobOut, "The job as it is now.") | problems(404),
)
def get_job(job_id: str, state: State, _caller: Reader) -> Response:
    """Shows a job: state, counts by stage and status, what was spent, rate and time left."""
    return Response(
        json_of(shown_job(state.backend.jobs, job_of(state.backend.jobs, job_id))), media_type=JSON
    )


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    responses=answers(202, JobOut, "The job, stopping.") | problems(404, 409, body=True),
)
def cancel(job_id: str, state: State, caller: Submitter) -> Response:
    """Stops a job cleanly and keeps what is done. Twice is once."""
    _check_owner(job_of(state.backend.jobs, job_id).owner, caller)
    job = state.job_service.cancel(job_id)
    if job.state.is_final and job.state is not JobState.CANCELLED:
        detail = f"job {job_id} has ended ({job.state}); there is nothing to cancel"
        raise Problem(409, "job_has_ended", detail)
    audit("cancel", job=job_id, key=caller.name)
    return Response(json_of(shown_job(state.backend.jobs, job)), 202, media_type=JSON)


@router.post(
    "/{job_id}/retry",
    status_code=202,
    responses=answers(202, JobOut, "The job, running again.") | problems(404, 409, body=True),
)
def retry(job_id: str, state: State, caller: Submitter) -> Response:
    """Runs again what failed, was not reached, or got no answer of the LLM."""
    job = job_of(state.backend.jobs, job_id)
    _check_owner(job.owner, caller)
    if not job.state.is_final:
        raise _running(job_id)
    _refuse_too_often(state, caller)
    _refuse_too_much(state, caller)
    if not state.job_service.retry(job_id):
        detail = f"every label of job {job_id} is there; there is nothing to retry"
        raise Problem(409, "nothing_to_retry", detail)
    audit("retry", job=job_id, key=caller.name)
    return Response(
        json_of(shown_job(state.backend.jobs, job_of(state.backend.jobs, job_id))),
        202,
        media_type=JSON,
    )


@router.delete(
    "/{job_id}",
    status_code=204,
    responses=problems(404, 409, body=True) | {204: {"description": "It is gone."}},
)
def forget(job_id: str, state: State, caller: Submitter) -> Response:
    """Removes a job that has ended from the list, also a damaged one; its labels stay."""
    owner = state.backend.jobs.owner(job_id) if _JOB_ID.fullmatch(job_id) else None
    if owner is None:
        raise _unknown()
    _check_owner(owner, caller)
    if not state.job_service.forget(job_id):
        raise _running(job_id)
    audit("forget", job=job_id, key=caller.name)
    return Response(status_code=204)


def job_of(jobs: JobStore, job_id: str) -> Job:
    """The job.

    Raises:
        Problem: 404.
    """
    job = jobs.get(job_id) if _JOB_ID.fullmatch(job_id) else None
    if job is None:
        raise _unknown()
    return job


def shown_job(jobs: JobStore, job: Job) -> JobOut:
    """The job as it travels."""
    notes = (jobs.note(job.id, name) for name in (ASKED_WITHOUT, LLM_AWAITED, UNSEEN_TEXT))
    return JobOut.of(job, *notes)


def _unknown() -> Problem:
    return Problem(404, "job_unknown", "there is no job of that id")


def _check_owner(owner: str, caller: Caller) -> None:
    if caller.name != owner and Scope.ADMIN not in caller.scopes:
        detail = "the job belongs to another API key; one with the scope admin may do that"
        raise Problem(403, "not_your_job", detail)


def _running(job_id: str) -> Problem:
    detail = f"job {job_id} has not ended; wait until it has, or cancel it"
    return Problem(409, "job_is_running", detail)


def _refuse_too_often(state: AppState, caller: Caller) -> None:
    wait_s = state.submits.take(caller.name)
    if wait_s:
        raise Problem.wait("too_many_requests", "this key submits too often", wait_s)


def _refuse_too_much(state: AppState, caller: Caller) -> None:
    most = state.config.limits.jobs_of_key
    if state.backend.jobs.n_open(caller.name) >= most:
        detail = f"{most} jobs of this key have not ended; wait for one, or cancel one"
        raise Problem.wait("too_many_jobs", detail, _FULL_S)
    if state.backend.jobs.n_open() >= state.config.limits.jobs_waiting:
        detail = f"{state.config.limits.jobs_waiting} jobs have not ended on this server"
        raise Problem.wait("too_many_jobs", detail, _FULL_S)


def _decoded(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        result = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        result = ""
    if not _JOB_ID.fullmatch(result):
        detail = "invalid cursor: use the one that the last page returned"
        raise Problem(422, "bad_cursor", detail)
    return result
