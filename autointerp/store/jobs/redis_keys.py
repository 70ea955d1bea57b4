"""Names of keys, and of fields of a hash, that jobs have in Redis."""

from __future__ import annotations

from typing import Any

from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import Stage, WorkItem
from autointerp.store.redis_connection import PREFIX

EVENTS = f"{PREFIX}events:"
SLICE_S = 5.0
"""Longest that one command waits, well below the socket's timeout."""


def job_key(job_id: str) -> str:
    """Hash of a job."""
    return f"{PREFIX}job:{job_id}"


def events_key(owner: str) -> str:
    """Stream of what happened to a job or a collection."""
    return EVENTS + owner


def items_key(owner: str, stage: Stage) -> str:
    """Hash of a stage: ``n``, ``done``, and of item 7 ``d7``, ``a7`` attempts, ``s7`` when sent."""
    return f"{PREFIX}items:{owner}/{stage}"


def lease_prefix(owner: str, stage: Stage) -> str:
    """What the keys of a stage's leases begin with; the number follows."""
    return f"{PREFIX}lease:{owner}/{stage}/"


def lease_key(item: WorkItem) -> str:
    """Text of a lease, which ends by itself."""
    return f"{lease_prefix(item.owner, item.stage)}{item.number}"


def labels_key(job_id: str) -> str:
    """Hash of the labels that a job has committed."""
    return f"{PREFIX}committed:{job_id}"


def notes_key(owner: str) -> str:
    """Hash of small texts."""
    return f"{PREFIX}notes:{owner}"


def sharers_key(collection: str) -> str:
    """Set of the jobs that wait for a collection."""
    return f"{PREFIX}sharers:{collection}"


def label_field(unit: UnitId, side: Side) -> str:
    """``subject/hook/index/side``."""
    return f"{unit}/{side}"


def parse_field(field: str) -> tuple[UnitId, Side]:
    """What `label_field` wrote."""
    unit, _, side = field.rpartition("/")
    subject, hook, index = unit.rsplit("/", 2)
    return UnitId(subject, hook, int(index)), Side(side)


def milliseconds(seconds_: float) -> int:
    """Whole milliseconds, as Redis takes them."""
    return int(1000 * seconds_)


def seconds(time_: Any) -> float:
    """Seconds since 1970 of a reply to TIME."""
    whole, micros = time_
    return float(whole) + float(micros) / 1e6
