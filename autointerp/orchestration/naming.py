"""Names of jobs, of what is kept of them, and of the queues."""

from __future__ import annotations

import secrets
import time

from autointerp.core.errors import StorageError
from autointerp.core.service import Stage, WorkItem
from autointerp.store.artifacts import Artifacts

ACTIVATIONS, LABELS = "activations", "labels"
QUEUES = (ACTIVATIONS, LABELS)
SUMMARY = "summary.safetensors"
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(kind: str) -> str:
    """``kind_`` and 26 characters that sort by time."""
    return _id(kind, time.time(), secrets.randbits(80))


def id_of_time(moment: float) -> str:
    """An id that sorts after those of all jobs submitted before a moment, in seconds since 1970."""
    return _id("job", moment, 0)


def _id(kind: str, moment: float, rest: int) -> str:
    number = int(moment * 1000) << 80 | rest
    digits = [_CROCKFORD[number >> (5 * place) & 31] for place in reversed(range(26))]
    return f"{kind}_{''.join(digits)}"


def queue_of(item: WorkItem) -> str:
    """The queue of workers that can do it."""
    return LABELS if item.stage is Stage.LABEL else ACTIVATIONS


def plan_name(owner: str) -> str:
    """The artifact that says what a job or a collection consists of."""
    folder = "collections" if owner.startswith("col_") else "jobs"
    return f"{folder}/{owner}/plan.json"


def shard_name(collection: str, number: int, of: int) -> str:
    """The artifact of a shard, 0-based."""
    return f"collections/{collection}/shard-{number + 1:05d}-of-{of:05d}.safetensors"


def summary_name(collection: str) -> str:
    """The artifact of a collection's whole summary."""
    return f"collections/{collection}/{SUMMARY}"


def chunk_name(job_id: str, number: int) -> str:
    """The artifact that a label worker reads."""
    return f"jobs/{job_id}/chunk-{number:05d}.npz"


def note_of(kind: str, item: WorkItem) -> str:
    """Name of a note about a piece of work, beside its owner."""
    return f"{kind}/{item.stage}/{item.number}"


def needed(artifacts: Artifacts, name: str) -> bytes:
    """The bytes of an artifact that must be there.

    Raises:
        StorageError: it is not.
    """
    data = artifacts.get_bytes(name)
    if data is None:
        msg = f"{artifacts.where}/{name} is gone; submit the job again"
        raise StorageError(msg)
    return data
