"""The workers that are alive, and what each of them does: what somebody who waits is told."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import Field

from autointerp.api.app_state import AppState, Reader, State
from autointerp.api.routes.responses import JSON, answers, json_of, problems
from autointerp.api.schemas import Wire
from autointerp.api.store_reads import in_thread
from autointerp.core.job_state import Stage, WorkItem
from autointerp.orchestration.retry_policy import jobs_of
from autointerp.store.jobs import WorkerInfo

router = APIRouter(prefix="/v1", tags=["workers"])
_SHARED = frozenset({Stage.COLLECT, Stage.MERGE})


class HeldItem(Wire):
    """A part of a job that a worker does now."""

    stage: Stage
    number: int = Field(description="0-based among the parts of that stage.")
    jobs: list[str] = Field(description="Jobs that wait for it; text is read once for several.")


class AliveWorker(Wire):
    """A worker that has reported lately."""

    queue: Literal["activations", "labels"] = Field(
        description="Which requests it answers: those for activations, or to score an explanation."
    )
    seen_s_ago: float
    doing: list[HeldItem] = Field(description="Empty where it is idle.")


class AliveWorkers(Wire):
    """All of them."""

    workers: list[AliveWorker]


@router.get("/workers", responses=answers(200, AliveWorkers, "Those alive.") | problems())
async def workers(state: State, _caller: Reader) -> Response:
    """Lists the workers that are alive and what each of them does."""
    return Response(json_of(await in_thread(lambda: _alive(state))), media_type=JSON)


def _alive(state: AppState) -> AliveWorkers:
    return AliveWorkers(workers=[_of(state, one) for one in state.backend.workers.alive()])


def _of(state: AppState, worker: WorkerInfo) -> AliveWorker:
    items = [WorkItem.parse(text) for text in worker.doing.split(", ")] if worker.doing else []
    held = [HeldItem(stage=i.stage, number=i.number, jobs=_jobs(state, i)) for i in items]
    return AliveWorker.model_validate(
        {"queue": worker.queue, "seen_s_ago": worker.seen_s_ago, "doing": held}
    )


def _jobs(state: AppState, item: WorkItem) -> list[str]:
    return jobs_of(state.backend.jobs, item.owner) if item.stage in _SHARED else [item.owner]
