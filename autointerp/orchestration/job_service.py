"""What the API offers its callers: jobs submitted, cancelled and retried, calls to workers."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from autointerp.core.config import Budget, JobSpec
from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import Job, JobState, Stage, WorkItem
from autointerp.orchestration.plan import JobPlan, id_of_time, new_id, read_plan
from autointerp.orchestration.retry_policy import GIVEN_UP, OPEN, RetryPolicy
from autointerp.orchestration.schedule import (
    LLM_ANSWERED,
    LLM_FAILED,
    STOPPED,
    UNSEEN_TEXT,
    Send,
    schedule_job,
)
from autointerp.orchestration.submission_policy import SubmissionPolicy
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import JobBackend, JobStore

SendRequest = Callable[[str, str, str, float], None]
"""Sends a request to workers: its id, kind and JSON, and for how many seconds a caller waits."""
Reply = dict[str, Any]
_ENDED = frozenset(state for state in JobState if state.is_final)
_AT_ONCE = 100


class JobService:
    """Changes jobs as callers ask, and sends the work that follows; workers do it."""

    def __init__(
        self,
        backend: JobBackend,
        artifacts: Artifacts,
        *,
        send: Send,
        send_request: SendRequest,
        policy: SubmissionPolicy | None = None,
    ) -> None:
        self._backend, self._artifacts = backend, artifacts
        self._send, self._send_request = send, send_request
        self.policy = policy or SubmissionPolicy()

    def submit(
        self, spec: JobSpec, budget: Budget, *, owner: str, key: str | None = None, body: str = ""
    ) -> Job:
        """The job that was submitted, now or earlier with the same key.

        The spec's `llm` is an alias, the owner the name of the caller's API key, `key` the caller's
        idempotency key, `body` the digest of what the caller sent (of the job where it is empty).

        Raises:
            InputError: it is not allowed; the same key came with another body.
        """
        self.policy.check(spec, budget)
        body = body or hashlib.sha256(f"{spec.digest}{budget.digest}".encode()).hexdigest()
        job = Job(
            id=new_id("job"),
            spec=spec,
            budget=budget,
            owner=owner,
            state=JobState.QUEUED,
            created=time.time(),
        )
        job = self._backend.jobs.submit(job, key=key, body=body)
        unseen = self.policy.unseen_text(spec)
        if unseen:
            self._backend.jobs.put_note(job.id, UNSEEN_TEXT, unseen)
        schedule_job(self._backend, self._send, job.id)
        return self._shown(job.id)

    def cancel(self, job_id: str) -> Job:
        """The job, asked to stop; its labels stay, and one that has ended stays as it is.

        Raises:
            InputError: there is no such job.
        """
        self._backend.jobs.transition(job_id, JobState.CANCELLING, among=OPEN)
        schedule_job(self._backend, self._send, job_id)
        return self._shown(job_id)

    def retry(self, job_id: str) -> int:
        """Runs what failed or was not reached again; how many labels, at least 1.

        Where every question to the LLM failed, that is all that rules stand in for. 0 where
        nothing would be done: what rules label because the budget ended stays.

        Raises:
            InputError: there is no such job, or it has not ended.
        """
        job = self._shown(job_id)
        if job.state is JobState.SUCCEEDED:
            return 0
        if not job.state.is_final:
            raise InputError(f"job {job_id} is {job.state}; wait until it has ended, or cancel it")
        n_left = self._reopen(job)
        if n_left:
            schedule_job(self._backend, self._send, job_id)
        return n_left

    def forget(self, job_id: str) -> bool:
        """Deletes an ended job, also a damaged one, but no label; False where it has not ended."""
        return forget_job(self._backend.jobs, self._artifacts, job_id)

    def reach_artifacts(self) -> None:
        """Returns if the artifact store answers.

        Raises:
            UpstreamError: it does not.
            StorageError: its folder cannot be read.
        """
        self._artifacts.exists("ready")

    def call_worker(
        self, kind: str, payload: Mapping[str, object], *, wait_s: float
    ) -> Reply | None:
        """A worker's reply to a request; None where none came in time.

        The kinds are ``activations``, ``strongest``, ``explanation``, ``embed``, ``document``,
        ``evidence`` and ``find``.

        Raises:
            InputError: the worker refuses the request.
            UpstreamError: what the worker needs cannot be reached.
        """
        request_id = new_id("ask")
        self._send_request(request_id, kind, json.dumps(payload), wait_s)
        text = self._backend.mailbox.await_reply(request_id, wait_s=wait_s)
        if text is None:
            return None
        reply: Reply = json.loads(text)
        error = reply.get("error")
        if error is None:
            return reply
        if reply.get("code") == "input":
            raise InputError(str(error))
        raise UpstreamError(str(error), retryable=reply.get("code") == "busy")

    def _shown(self, job_id: str) -> Job:
        job = self._backend.jobs.get(job_id)
        if job is None:
            raise InputError(f"there is no job {job_id!r}")
        return job

    def _reopen(self, job: Job) -> int:
        jobs, queue = self._backend.jobs, self._backend.queue
        retries = RetryPolicy(jobs, queue, self._artifacts)
        plan_item = queue.items(job.id, Stage.PLAN)
        if not all(state.done for state in plan_item):
            retries.renew(*(state.item for state in plan_item))
            self._run_again(job, STOPPED)
            return max(1, job.counts.total - job.counts.done)
        plan = read_plan(self._artifacts, job.id)
        undone = {LabelStatus.FAILED}
        if jobs.note(job.id, LLM_FAILED) and not jobs.note(job.id, LLM_ANSWERED):
            undone |= {LabelStatus.OK, LabelStatus.NO_SIGNAL}
        again, missing = self._undone(job.id, plan, undone)
        if not again and not missing:
            return 0
        if job.spec.evidence is not None:
            return self._ask_again(job, again, missing)
        retries.renew_collection(plan.collection)
        stages = (Stage.RECORDS, Stage.LABEL)
        retries.renew(*(WorkItem(job.id, stage, n) for stage in stages for n in missing))
        chunks = {*again.values()} - missing
        if again:
            jobs.reopen(job.id, again, among=undone)
            retries.renew(*(WorkItem(job.id, stage, n) for stage in stages for n in chunks))
        if len(missing | chunks) > 1:
            windows = queue.items(job.id, Stage.WINDOWS)
            retries.renew(*(state.item for state in windows))
        # Where rules filled up what the budget did not reach, they still do.
        self._run_again(job, LLM_FAILED, *([STOPPED] if missing else ()))
        return job.counts.total - job.counts.done + len(again)

    def _ask_again(
        self, job: Job, again: Mapping[tuple[UnitId, Side], int], missing: Collection[int]
    ) -> int:
        """Asks for evidence again that could not be had, or was not reached."""
        retries = RetryPolicy(self._backend.jobs, self._backend.queue, self._artifacts)
        # Before it runs: a job all of whose items are done would end at once.
        for number in {*again.values(), *missing}:
            retries.renew(WorkItem(job.id, Stage.EVIDENCE, number))
        if again:
            self._backend.jobs.reopen(job.id, again)
        self._run_again(job, STOPPED)
        return job.counts.total - job.counts.done + len(again)

    def _run_again(self, job: Job, *notes: str) -> None:
        """Lets it run, without what was noted of the try before."""
        for name in (GIVEN_UP, *notes):
            self._backend.jobs.put_note(job.id, name, "")
        self._backend.jobs.transition(job.id, JobState.RUNNING, among={job.state})

    def _undone(
        self, job_id: str, plan: JobPlan, undone: Collection[LabelStatus]
    ) -> tuple[dict[tuple[UnitId, Side], int], set[int]]:
        """The chunk of every label that is to be made again, and those of labels that are missing.

        The former are in one of the states given.
        """
        chunks, committed = plan.chunks(), self._backend.jobs.committed(job_id)
        again = {
            (unit, side): chunks.get((unit, side), chunks.get((unit, None), 0))
            for (unit, side), status in committed.items()
            if status in undone
        }
        return again, {chunks[target] for target in plan.unlabelled(committed)}


def forget_job(jobs: JobStore, artifacts: Artifacts, job_id: str) -> bool:
    """Deletes everything of an ended job but its labels; False where it has not ended."""
    if not jobs.forget(job_id):
        return False
    for name in artifacts.names(f"jobs/{job_id}/"):
        artifacts.delete(name)
    return True


def remove_expired(jobs: JobStore, artifacts: Artifacts, *, keep_s: float) -> int:
    """Deletes jobs that ended more than `keep_s` seconds ago; how many.

    Files of collections that no job needs any more go too.
    """
    until = time.time() - keep_s
    before = jobs.find(states=_ENDED, before=id_of_time(until), limit=_AT_ONCE)
    old = [job for job in before if job.ended is not None and job.ended < until]
    n_forgotten = sum(forget_job(jobs, artifacts, job.id) for job in old)
    names = artifacts.names("collections/")
    for collection in {name.split("/")[1] for name in names}:
        if jobs.forget_collection(collection):
            for name in artifacts.names(f"collections/{collection}/"):
                artifacts.delete(name)
    return n_forgotten
