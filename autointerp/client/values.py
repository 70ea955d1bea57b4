"""What a server says of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autointerp.core.errors import UpstreamError
from autointerp.core.service import JobState


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a job."""

    id: str | None
    """Where to go on after a cut connection; None for ``job``, the whole job as it is."""
    kind: str
    """``state``, ``stage``, ``label``, ``note`` or ``job``."""
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as it is now."""

    id: str
    state: JobState
    reason: str | None
    """Why it failed or is partial."""
    total: int
    """Labels that there will be; 0 until the job is planned."""
    counts: Mapping[str, int]
    """``done``, ``ok``, ``dead``, ``no_signal``, ``failed``."""
    stages: Mapping[str, tuple[int, int]]
    """(done, total) pieces of work of each stage."""
    requests: int
    tokens: int
    usd: float | None
    """None where the price is unknown."""
    rate_per_s: float | None
    left_s: float | None
    raw: Mapping[str, Any] = field(repr=False)
    """Everything that the server said."""

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state.is_final

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> JobStatus:
        """The job that a server describes; what this version does not know is left in `raw`.

        Raises:
            UpstreamError: it is no job.
        """
        try:
            counts, spent = dict(said["counts"]), said["spent"]
            return cls(
                id=said["id"],
                state=JobState(said["state"]),
                reason=said["reason"],
                total=counts.pop("total"),
                counts=counts,
                stages={name: (n["done"], n["total"]) for name, n in said["stages"].items()},
                requests=spent["requests"],
                tokens=spent["tokens"],
                usd=spent["usd"],
                rate_per_s=said["rate_per_s"],
                left_s=said["left_s"],
                raw=said,
            )
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the server's job cannot be read ({error!r}); is it an autointerp server?"
            raise UpstreamError(msg, retryable=False) from error
