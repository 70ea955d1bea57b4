"""What is decided about jobs without doing any of their work: nothing here needs torch."""

from autointerp.orchestration.job_service import JobService, remove_expired
from autointerp.orchestration.plan import CHUNK, JobPlan, PlannedHook, new_id
from autointerp.orchestration.retry_policy import RetryPolicy
from autointerp.orchestration.schedule import Send, reconcile, schedule_collection, schedule_job
from autointerp.orchestration.submission_policy import SubmissionPolicy

__all__ = [
    "CHUNK",
    "JobPlan",
    "JobService",
    "PlannedHook",
    "RetryPolicy",
    "Send",
    "SubmissionPolicy",
    "new_id",
    "reconcile",
    "remove_expired",
    "schedule_collection",
    "schedule_job",
]
