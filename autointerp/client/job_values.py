"""A job and its events, as a server describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autointerp.core.errors import UpstreamError
from autointerp.core.job_state import JobState


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job."""

    id: str | None
    """Where to resume after an interrupted connection; None for ``job``, the whole current job."""
    kind: str
    """``state``, ``stage``, ``label``, ``note`` or ``job``."""
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The current state of a job."""

    id: str
    state: JobState
    reason: str | None
    """Why it failed or is partial."""
    total: int
    """Labels in the end; 0 until the job is planned."""
    counts: Mapping[str, int]
    """``done``, ``ok``, ``dead``, ``no_signal``, ``failed``."""
    stages: Mapping[str, tuple[int, int]]
    """(done, total) parts of each stage."""
    requests: int
    tokens: int
    usd: float | None
    """None where the price is unknown."""
    rate_per_s: float | None
    left_s: float | None
    raw: Mapping[str, Any] = field(repr=False)
    """The whole response of the server."""

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state.is_final

    @classmethod
    def of(cls, response: Mapping[str, Any]) -> JobStatus:
        """The job that a response describes; fields unknown to this version are in `raw` only.

        Raises:
            UpstreamError: it does not describe a job.
        """
        try:
            counts, spent = dict(response["counts"]), response["spent"]
            return cls(
                id=response["id"],
                state=JobState(response["state"]),
                reason=response["reason"],
                total=counts.pop("total"),
                counts=counts,
                stages={name: (n["done"], n["total"]) for name, n in response["stages"].items()},
                requests=spent["requests"],
                tokens=spent["tokens"],
                usd=spent["usd"],
                rate_per_s=response["rate_per_s"],
                left_s=response["left_s"],
                raw=response,
            )
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the server did not describe a job ({error!r}); is it an autointerp server?"
            raise UpstreamError(msg, retryable=False) from error
