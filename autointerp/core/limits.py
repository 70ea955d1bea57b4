"""What the callers of one endpoint say to, and hear from, whoever keeps their common limits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of an endpoint all its callers may use together."""

    in_flight: int
    """Requests on their way at once."""
    requests: int | None = None
    """Requests within any minute; None for no limit."""
    tokens: int | None = None
    """Tokens of prompts and replies within any minute; None for no limit."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one holder of slots reports, and the slots that it would like."""

    holder: str
    """Its name, unique among all callers of the endpoint."""
    used: int
    """Slots that it has in use now; whatever was thought before is wrong."""
    wanted: tuple[int, ...] = ()
    """Tokens that each of its waiting requests will cost, about, in the order they came."""
    lease_s: float = 10.0
    """A holder that says nothing for so long has died, and its slots are free."""
    n_succeeded: int = 0
    """Requests that were answered since its last report."""
    refused_round: int | None = None
    """Newest round of a request that the endpoint refused as too much, if any."""
    tokens: int = 0
    """Tokens that requests did cost beyond what was thought; below 0 where they cost less."""
    pause_s: float = 0.0
    """How long the endpoint asks everybody to wait."""
    held_s: float | None = None
    """Mean time that its slots were in use, of those given back since its last report."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The answer to it."""

    n: int
    """How many of the waiting requests may be sent now, the first ones."""
    round: int
    """How often the number in flight had been cut."""
    wait_s: float
    """How long to wait before asking for the others; 0 where there are none."""
    n_sharing: int
    """Holders that use the endpoint or wait for it, this one among them."""
