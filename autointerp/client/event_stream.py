"""Server-sent events of a job; interrupted connections are resumed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

import httpx

from autointerp.client.http_session import HttpSession
from autointerp.client.job_values import Event
from autointerp.core.errors import UpstreamError
from autointerp.core.job_state import JobState


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
                fields.get("id"), fields.get("event", "message"), json.loads(fields["data"])
            )
        fields = {}
