"""A job and its events, as a server describes them; interrupted event streams are resumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from autointerp.client.http_session import HttpSession
from autointerp.core.errors import UpstreamError
from autointerp.core.job_state import JobState
from autointerp.core.json_text import parse_json
from autointerp.core.one_line import brief_repr


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job."""

    id: str | None
    """Where to resume after an interrupted connection; None for ``job``, the whole current job."""
    kind: str
    """``state``, ``stage``, ``label``, ``note`` or ``job``."""
    data: Mapping[str, Any]

    __repr__ = brief_repr


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

    __repr__ = brief_repr

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


def follow(
    session: HttpSession, job_id: str, *, after: str | None, kinds: Sequence[str]
) -> Iterator[Event]:
    """Events until the job has ended; an interrupted connection resumes after the last event.

    Raises:
        InputError: there is no such job.
        UpstreamError: the server could not be reached for too long.
    """
    deadline = session.deadline()
    last, ended = after, False
    # The end of a job must be seen even where other kinds were asked for.
    requested = list(dict.fromkeys([*kinds, "state"])) if kinds else []
    while not ended:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        try:
            path = f"/v1/jobs/{job_id}/events"
            with session.stream(path, params={"kind": requested}, headers=headers) as response:
                if response.status_code == httpx.codes.NO_CONTENT:
                    return
                for event in read_events(response.iter_lines()):
                    deadline.renew()
                    last = event.id or last
                    if event.kind == "state":
                        ended = JobState(event.data["state"]).is_final
                    if not kinds or event.kind in kinds:
                        yield event
        except httpx.TransportError as error:
            if not deadline.wait():
                raise session.unreachable(error) from error
            ended = False
        else:
            if not ended and not deadline.wait():
                msg = f"the server keeps closing the event stream of {job_id}; try again later"
                raise UpstreamError(msg, retryable=True)


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events in a stream's lines; an incomplete one is left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data" and "data" in fields:
                value = f"{fields['data']}\n{value}"
            fields[name] = value
            continue
        if "data" in fields:
            yield Event(
                fields.get("id"), fields.get("event", "message"), parse_json(fields["data"])
            )
        fields = {}
