"""Limits of an endpoint that all its callers share, and who keeps them for several processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """How much of an endpoint all its callers may use together."""

    in_flight: int
    """Requests in flight at once."""
    requests: int | None = None
    """Requests within any minute; None for no limit."""
    tokens: int | None = None
    """Tokens of prompts and replies within any minute; None for no limit."""


@dataclass(frozen=True, slots=True)
class LimitReport:
    """What one holder of slots reports, and the slots that it would like."""

    holder: str
    """Its name, unique among all callers of the endpoint."""
    used: int
    """Slots that it has in use now; this replaces what was known of it."""
    wanted: tuple[int, ...] = ()
    """Approximate tokens of each of its waiting requests, in the order they came."""
    lease_s: float = 10.0
    """A holder that reports nothing for so long has died, and its slots are free."""
    n_succeeded: int = 0
    """Requests that were answered since its last report."""
    refused_round: int | None = None
    """Newest round of a request that the endpoint throttled, if any."""
    tokens: int = 0
    """Tokens that requests cost beyond the estimate; below 0 where they cost less."""
    pause_s: float = 0.0
    """How long the endpoint requires all callers to wait."""
    held_s: float | None = None
    """Mean time that its slots were in use, of those given back since its last report."""


@dataclass(frozen=True, slots=True)
class LimitGrant:
    """The answer to a report."""

    n: int
    """How many of the waiting requests may be sent now, the first ones."""
    round: int
    """How often the number in flight had been cut."""
    wait_s: float
    """How long to wait before asking for the others; 0 where there are none."""
    n_sharing: int
    """Holders that use the endpoint or wait for it, this one among them."""


class LimitStore(Protocol):
    """Keeps the limits of endpoints for all their callers. Several threads may use it."""

    def exchange(self, endpoint: str, limits: EndpointLimits, report: LimitReport) -> LimitGrant:
        """Takes a report, and admits as many of the waiting requests as fit.

        `endpoint` is anything that tells one from another; it is neither shown nor stored.

        Raises:
            AutointerpError: the store cannot be reached, or cannot keep the limits.
        """
