"""How jobs are laid out in Redis: names of keys and fields, and a job as fields of a hash."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from autointerp.core.config import Budget, JobSpec, as_stored
from autointerp.core.errors import DamagedError, first_problem, newer_version
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import (
    AskedBriefly,
    Job,
    JobCounts,
    JobState,
    JobSummary,
    Stage,
    StageCount,
    WorkItem,
    briefly,
)
from autointerp.core.json_text import parse_json
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


SCHEMA, _OF_LABELS = 2, 1
"""Of jobs, and of those that make labels, which versions without evidence can do."""
_AGAIN = "delete it and submit it again"

_Config = TypeVar("_Config", bound=BaseModel)


def fields_of(job: Job) -> list[str | int]:
    """Names and values in turn, of a job that is submitted."""
    return [
        *("schema", _OF_LABELS if job.spec.evidence is None else SCHEMA),
        *("spec", job.spec.model_dump_json()),
        *(BRIEF, brief_of(AskedBriefly.of(job.spec))),
        # A worker of an earlier version refuses fields that it does not know.
        *("money", job.budget.model_dump_json(exclude_none=True)),
        *("owner", job.owner),
        *("state", str(job.state)),
        *("created", repr(job.created)),
    ]


def brief_of(asked: AskedBriefly) -> str:
    """What a summary says of the specification, as it is stored."""
    plain = asdict(asked)
    if asked.evidence is None:
        del plain["evidence"]  # Earlier versions refuse a field that they do not know.
    return json.dumps(plain)


def brief_of_spec(text: bytes) -> str:
    """`brief_of` a stored specification, which may be one that is not accepted any more."""
    try:
        spec: Any = json.loads(text)
        names = (spec.get(name, default) for name, default in _ASKED.items())
        return brief_of(AskedBriefly(*(briefly(str(name)) for name in names)))
    except (ValueError, AttributeError, RecursionError):
        return brief_of(AskedBriefly("", "damaged", ""))


def job_of(
    job_id: str, fields: Mapping[bytes, bytes], stages: Mapping[Stage, StageCount]
) -> Job | None:
    """The job, or None where the hash holds none.

    Raises:
        InputError: a newer autointerp wrote it.
        DamagedError: it is damaged.
    """
    text = _texts(fields)
    if "spec" not in text:
        return None
    with _damage(job_id):
        known = _known(job_id, text, stages)
        return Job(spec=as_stored(_config(JobSpec, text["spec"], job_id)), **known)


def summary_of(
    job_id: str, fields: Mapping[bytes, bytes], stages: Mapping[Stage, StageCount]
) -> JobSummary:
    """The summary of a job from those of its fields that `SUMMARY_FIELDS` names.

    Raises:
        InputError: a newer autointerp wrote it.
        DamagedError: it is damaged.
    """
    text = _texts(fields)
    with _damage(job_id):
        # Its schema is looked at first: a newer brief may have more keys.
        known = _known(job_id, text, stages)
        return JobSummary(asked=AskedBriefly(**parse_json(text[BRIEF])), **known)


@contextmanager
def _damage(job_id: str) -> Iterator[None]:
    """Turns what a field that is missing, or is something else, leads to into a sentence."""
    try:
        yield
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise DamagedError(f"job {job_id} is damaged: {error!r}; {_AGAIN}") from error


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {
        name.decode("utf-8", "replace"): value.decode("utf-8", "replace")
        for name, value in fields.items()
    }


def _known(
    job_id: str, fields: Mapping[str, str], stages: Mapping[Stage, StageCount]
) -> dict[str, Any]:
    """What a job and its summary have in common."""
    schema = int(fields["schema"])
    if schema > SCHEMA:
        raise newer_version(f"job {job_id}", schema, SCHEMA)
    priced = "usd" in fields and "unpriced" not in fields
    return {
        "id": job_id,
        "budget": _config(Budget, fields["money"], job_id),
        "owner": fields["owner"],
        "state": JobState(fields["state"]),
        "created": float(fields["created"]),
        "started": _moment(fields, "started"),
        "ended": _moment(fields, "ended"),
        "reason": fields.get("reason"),
        "counts": JobCounts(*(int(fields.get(name, 0)) for name in _COUNTS)),
        "stages": stages,
        "tokens": int(fields.get("tokens", 0)),
        "usd": float(fields["usd"]) if priced else None,
        "requests": int(fields.get("requests", 0)),
        "generation": int(fields.get("generation", 0)),
    }


_COUNTS = ("total", "ok", "dead", "no_signal", "failed")
BRIEF = "brief"
"""Field of what `AskedBriefly` says, beside the specification."""
_ASKED = {"subject": "", "units": "", "llm": ""}
SUMMARY_FIELDS = (
    *(BRIEF, "schema", "money", "owner", "state", "created", "started", "ended", "reason"),
    *(*_COUNTS, "tokens", "usd", "unpriced", "requests", "generation"),
)
"""What a summary is made of."""


def _config(kind: type[_Config], text: str, job_id: str) -> _Config:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise DamagedError(f"job {job_id} is damaged: {first_problem(error)}; {_AGAIN}") from error


def _moment(fields: Mapping[str, str], name: str) -> float | None:
    return float(fields[name]) if name in fields else None
