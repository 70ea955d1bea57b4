"""A job's progress as server-sent events."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field
from starlette.responses import StreamingResponse

from autointerp.api.api_config import Caller
from autointerp.api.app_state import AppState, Reader, State
from autointerp.api.problems import Problem
from autointerp.api.routes.jobs import job_of, shown_job
from autointerp.api.routes.responses import problems
from autointerp.api.schemas import Wire
from autointerp.api.store_reads import in_thread
from autointerp.core.errors import UpstreamError
from autointerp.core.job_state import JobEvent

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_ID = re.compile(r"\d{1,15}-\d{1,9}")
_POLL_S, _SNAPSHOT_S, _QUIET_S = 0.25, 1.0, 15.0
_BATCH = 500
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events of a job: `state`, `stage`, `label` and `note` with an id, and "
        "`job`, the whole job as it is now, without one. The stream ends with the job.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "The job has ended, and there is nothing after Last-Event-ID."},
}


class EventsQuery(Wire):
    """Which events are sent."""

    kind: list[Literal["state", "stage", "label", "note", "job"]] = Field(
        default=[], max_length=5, description="Any of these; all where none is given."
    )


@router.get("/{job_id}/events", responses=_STREAM | problems(404))
async def events(
    job_id: str,
    request: Request,
    state: State,
    caller: Reader,
    query: Annotated[EventsQuery, Query()],
    last: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="Only what came after this event is sent."),
    ] = None,
) -> Response:
    """Follows a job; a cut connection resumes by Last-Event-ID."""
    if last is not None and not _ID.fullmatch(last):
        detail = "Last-Event-ID is the id of an event, milliseconds-number"
        raise Problem(422, "bad_event_id", detail)
    job = await in_thread(partial(job_of, state.backend.jobs, job_id))
    if last is not None and job.state.is_final:
        left = await in_thread(partial(state.backend.jobs.events, job_id, after=last, limit=1))
        if not left:
            return Response(status_code=204)
    state.streams.check(caller.name, "event streams")
    feed = _Feed(state, caller, job_id, last, frozenset(query.kind))
    return StreamingResponse(
        feed.lines(request),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


class _Feed:
    """One stream, with its place among those that the key may keep open."""

    def __init__(
        self, state: AppState, caller: Caller, job_id: str, last: str | None, kinds: frozenset[str]
    ) -> None:
        self._jobs = state.backend.jobs
        self._place = state.streams.one(caller.name)
        self._job_id = job_id
        self._last = last
        self._kinds = kinds
        self._shown = b""
        self._shown_at = 0.0

    async def lines(self, request: Request) -> AsyncIterator[bytes]:
        """The stream's text."""
        with self._place:
            yield b"retry: 1000\n\n"
            try:
                async for part in self._parts(request):
                    yield part
            except UpstreamError:
                return  # The stream ends; the client comes back with its Last-Event-ID.

    async def _parts(self, request: Request) -> AsyncIterator[bytes]:
        spoke = time.monotonic()
        while not await request.is_disconnected():
            # The job is read first: what its last state says is then among the events.
            ended, snapshot = await self._snapshot()
            result = await self._more()
            for part in (*map(_text, self._wanted(result)), snapshot):
                if part:
                    spoke = time.monotonic()
                    yield part
            if len(result) == _BATCH:
                continue
            if ended:
                return
            if time.monotonic() - spoke > _QUIET_S:
                spoke = time.monotonic()
                yield b": still here\n\n"
            await anyio.sleep(_POLL_S)

    async def _more(self) -> list[JobEvent]:
        result = await in_thread(
            partial(self._jobs.events, self._job_id, after=self._last, limit=_BATCH)
        )
        if result:
            self._last = result[-1].id
        return result

    def _wanted(self, events: list[JobEvent]) -> list[JobEvent]:
        return [event for event in events if not self._kinds or event.kind in self._kinds]

    async def _snapshot(self) -> tuple[bool, bytes]:
        job = await in_thread(partial(job_of, self._jobs, self._job_id))
        wanted = not self._kinds or "job" in self._kinds
        due = time.monotonic() - self._shown_at >= _SNAPSHOT_S or job.state.is_final
        if not (wanted and due):
            return job.state.is_final, b""
        data = (await in_thread(partial(shown_job, self._jobs, job))).model_dump_json().encode()
        if data == self._shown:
            return job.state.is_final, b""
        self._shown, self._shown_at = data, time.monotonic()
        return job.state.is_final, b"event: job\ndata: " + data + b"\n\n"


def _text(event: JobEvent) -> bytes:
    data = json.dumps(dict(event.data), ensure_ascii=True)
    return f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n".encode()
