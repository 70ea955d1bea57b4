"""What both boards do to a job's value: moving it through its states, counting its labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from autointerp.core.errors import InputError
from autointerp.core.labels import LabelStatus
from autointerp.core.service import Job, JobCounts, JobState


def moved(job: Job, state: JobState, reason: str | None, now: float) -> Job:
    """The job in another state.

    Args:
        job: as it was.
        state: the new state.
        reason: why it is in that state; None where that needs no words.
        now: seconds since 1970.
    """
    again = job.state.is_final and not state.is_final
    return replace(
        job,
        state=state,
        reason=reason,
        started=job.started or (now if state is JobState.RUNNING else None),
        ended=now if state.is_final else None,
        generation=job.generation + again,
    )


def counted(counts: JobCounts, status: LabelStatus) -> JobCounts:
    """The counts with one label more."""
    return replace(counts, **{status.value: getattr(counts, status.value) + 1})


def newest_first(
    jobs: Iterable[Job], *, owner: str | None, states: Collection[JobState], before: str | None
) -> Iterator[Job]:
    """Those jobs that were asked for; ids sort by time."""
    for job in sorted(jobs, key=lambda job: job.id, reverse=True):
        if (
            (owner is None or job.owner == owner)
            and (not states or job.state in states)
            and (before is None or job.id < before)
        ):
            yield job


def other_body(key: str) -> InputError:
    """What is said to the same idempotency key with another body."""
    return InputError(
        f"the idempotency key {key!r} was used for another job; choose another key, "
        "or send the same body again"
    )
