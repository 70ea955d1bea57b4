"""A job as fields of a Redis hash, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from autointerp.core.config import Budget, JobSpec
from autointerp.core.errors import StorageError, newer_version
from autointerp.core.job_state import Job, JobCounts, JobState, Stage, StageCount

SCHEMA = 1

_Config = TypeVar("_Config", bound=BaseModel)


def fields_of(job: Job) -> list[str | int]:
    """Names and values in turn, of a job that is submitted."""
    return [
        *("schema", SCHEMA),
        *("spec", job.spec.model_dump_json()),
        *("money", job.budget.model_dump_json()),
        *("owner", job.owner),
        *("state", str(job.state)),
        *("created", repr(job.created)),
    ]


def job_of(
    job_id: str, fields: Mapping[bytes, bytes], stages: Mapping[Stage, StageCount]
) -> Job | None:
    """The job, or None where the hash holds none.

    Raises:
        InputError: a newer autointerp wrote it.
        StorageError: it is damaged.
    """
    result = {name.decode(): value.decode("utf-8", "replace") for name, value in fields.items()}
    if "spec" not in result:
        return None
    schema = int(result["schema"])
    if schema > SCHEMA:
        raise newer_version(f"job {job_id}", schema, SCHEMA)
    return Job(
        id=job_id,
        spec=_config(JobSpec, result["spec"], job_id),
        budget=_config(Budget, result["money"], job_id),
        owner=result["owner"],
        state=JobState(result["state"]),
        created=float(result["created"]),
        started=_moment(result, "started"),
        ended=_moment(result, "ended"),
        reason=result.get("reason"),
        counts=JobCounts(*(int(result.get(name, 0)) for name in _COUNTS)),
        stages=stages,
        tokens=int(result.get("tokens", 0)),
        usd=float(result["usd"]) if "usd" in result and "unpriced" not in result else None,
        requests=int(result.get("requests", 0)),
        generation=int(result.get("generation", 0)),
    )


_COUNTS = ("total", "ok", "dead", "no_signal", "failed")


def _config(kind: type[_Config], text: str, job_id: str) -> _Config:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        msg = f"job {job_id} is damaged: {first['msg']}; cancel it and submit it again"
        raise StorageError(msg) from error


def _moment(fields: Mapping[str, str], name: str) -> float | None:
    return float(fields[name]) if name in fields else None
