"""Jobs of the service, their work items, and calls to workers; kept in Redis."""

from autointerp.store.jobs.job_backend import (
    COLLECTION,
    ItemState,
    JobBackend,
    JobStore,
    Lease,
    WorkerInfo,
    WorkerMailbox,
    WorkerRegistry,
    WorkerRequest,
    WorkQueue,
)

__all__ = [
    "COLLECTION",
    "ItemState",
    "JobBackend",
    "JobStore",
    "Lease",
    "WorkQueue",
    "WorkerInfo",
    "WorkerMailbox",
    "WorkerRegistry",
    "WorkerRequest",
]
