"""The start, with jobs and the form that submits one, and the page of a job."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from functools import partial

from fastapi import APIRouter, Request

from autointerp.api.api_config import Caller, Scope
from autointerp.api.app_state import AppState, Reader, State
from autointerp.api.browser_sessions import has_cookie
from autointerp.api.problems import Problem
from autointerp.api.routes.example_pages import EXAMPLE
from autointerp.api.routes.html_pages import html_page, sentence
from autointerp.api.routes.jobs import job_of
from autointerp.api.store_reads import in_thread
from autointerp.core.config import EMBEDDED, NO_LLM, CorpusConfig
from autointerp.core.errors import UpstreamError
from autointerp.core.job_state import Job, JobEvent
from autointerp.explainers import EXPLAINERS
from autointerp.orchestration.schedule import LLM_AWAITED
from autointerp.scorers import SCORERS
from autointerp.web.job_view import (
    WORKERS,
    JobLine,
    JobView,
    failures_of,
    last_by_unit,
    newest_of,
)
from autointerp.web.page_links import Links
from autointerp.web.page_templates import render

router = APIRouter(include_in_schema=False)
_LINKS = Links()
_N_JOBS = 20
_AT_ONCE, _MOST_EVENTS = 1_000, 5_000
_LLM_WORDS = {NO_LLM: "none: rules alone, free", EMBEDDED: "embedded: a small one, free"}


@router.get("/")
@html_page
async def home(request: Request, state: State, caller: Reader) -> str:
    """Shows the models, the newest jobs, and the form of a new one."""
    return await in_thread(partial(_home, state, caller, has_session=has_cookie(request.headers)))


@router.get("/jobs/{job_id}")
@html_page
async def job_page(job_id: str, state: State, caller: Reader) -> str:
    """Shows how far a job is, what it costs, what failed and its newest labels."""
    return await in_thread(partial(_job, state, caller, job_id))


def _home(state: AppState, caller: Caller, *, has_session: bool) -> str:
    models = []
    for name in sorted(state.stores.models()):
        # Nobody waits here for the labels of a large model, which are read when a server starts.
        is_ready = state.indexes.ready(name) is not None
        n, problem = state.indexes.count(name) if is_ready else (None, None)
        models.append({"name": name, "n_labels": n, "problem": problem})
    jobs: list[JobLine] = []
    workers: Mapping[str, int] = {}
    problem = None
    try:
        jobs = [JobLine.of(job) for job in state.backend.jobs.find(limit=_N_JOBS)]
        workers = _workers(state)
    except UpstreamError as error:
        problem = sentence(str(error))
    values = {
        "links": _LINKS,
        "models": models,
        "jobs": jobs,
        "is_served": True,
        "account": caller.name if has_session else None,
        "can_submit": Scope.SUBMIT in caller.scopes,
        "workers": workers,
        "jobs_problem": problem,
        "missing": [command for queue, command in WORKERS.items() if not workers.get(queue)],
        "form": _form(state),
        "example": EXAMPLE,
        "rescored": tuple(state.rescorings.all()),
    }
    return render("home.html", values)


def _form(state: AppState) -> Mapping[str, object]:
    """What may be chosen in the form of a job."""
    policy = state.job_service.policy
    llms = []
    for alias in policy.llms:
        provider = state.config.providers.get(alias)
        models = () if provider is None else provider.models
        words = _LLM_WORDS.get(alias, f"{alias}: {models[0]}" if models else alias)
        llms.append({"alias": alias, "words": words, "models": models})
    return {
        "subjects": policy.models,
        "corpora": policy.corpora,
        "llms": llms,
        "explainers": [spec.name for spec in EXPLAINERS],
        "scorers": [spec.name for spec in SCORERS],
        "n_tokens": CorpusConfig().n_tokens,
    }


def _job(state: AppState, caller: Caller, job_id: str) -> str:
    jobs = state.backend.jobs
    job = job_of(jobs, job_id)
    events, is_whole = _events(state, job)
    labels = last_by_unit(events)
    newest = newest_of(labels, _LINKS)
    model = _model_of(labels, job)
    view = JobView(
        job=job,
        failures=failures_of(labels, _LINKS),
        newest=newest,
        model=model,
        has_labels=job.spec.evidence is None or _has_labels(state, model),
        is_whole=is_whole,
        awaited=jobs.note(job.id, LLM_AWAITED) if not job.state.is_final else None,
        workers=_workers(state),
    )
    may_change = Scope.SUBMIT in caller.scopes and (
        caller.name == job.owner or Scope.ADMIN in caller.scopes
    )
    values = {"links": _LINKS, "view": view, "now": time.time(), "may_change": may_change}
    return render("job.html", values)


def _events(state: AppState, job: Job) -> tuple[list[JobEvent], bool]:
    """The first events of the job, and whether these are all."""
    found: list[JobEvent] = []
    while len(found) < _MOST_EVENTS:
        after = found[-1].id if found else None
        more = state.backend.jobs.events(job.id, after=after, limit=_AT_ONCE)
        found += more
        if len(more) < _AT_ONCE:
            return found, True
    return found, False


def _model_of(labels: list[Mapping[str, str | int | float | None]], job: Job) -> str:
    """Under which name its labels are: a subject may be known by another than jobs name."""
    named = next((str(data["unit"]) for data in labels), "")
    return named.partition("/")[0] or job.spec.subject


def _has_labels(state: AppState, model: str) -> bool:
    try:
        return state.indexes.store(model).count() > 0
    except Problem:  # It has nothing at all.
        return False


def _workers(state: AppState) -> Mapping[str, int]:
    return Counter(worker.queue for worker in state.backend.workers.alive())
