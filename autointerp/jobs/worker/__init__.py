"""Worker processes' side of jobs: plan, collect, merge, read records, label, reply to requests."""

from autointerp.jobs.worker.resources import LeaseTimes, WorkerDependencies
from autointerp.jobs.worker.worker import Worker

__all__ = ["LeaseTimes", "Worker", "WorkerDependencies"]
