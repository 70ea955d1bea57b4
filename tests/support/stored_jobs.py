"""Jobs in a job store."""

from __future__ import annotations

from factories import make_job, make_unit

from autointerp.core.config import Budget
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.job_state import Job, JobState
from autointerp.store.jobs import JobBackend

OPEN = {JobState.QUEUED, JobState.RUNNING}
POSITIVE = Side.POSITIVE


def make_service_job(number: int = 1, *, owner: str = "ann", **changes: object) -> Job:
    job = make_job(**changes)
    return Job(
        f"job_{number:026d}", Budget(usd=1.5), owner, JobState.QUEUED, 1000.0 + number, spec=job
    )


def put_up(backend: JobBackend, number: int = 1, **changes: object) -> str:
    return backend.jobs.submit(make_service_job(number, **changes)).id


def commit(backend: JobBackend, job: str, index: int, status: LabelStatus = LabelStatus.OK) -> bool:
    return backend.jobs.commit(
        job, make_unit(index), POSITIVE, status, summary=f'{{"index":{index}}}'
    )
