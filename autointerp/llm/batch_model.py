"""Calls gathered into batches.

Calls are gathered until none came for a moment, sent as one batch, and answered when it has
ended. Which request went into which batch is on disk before the batch exists, so that a process
that was killed finds its batches again and pays for nothing twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from openai.types import Batch
from typing_extensions import override

from autointerp.core.backoff import Backoff
from autointerp.core.errors import InputError, RequestRefusedError, UpstreamError
from autointerp.llm.batch_api import BatchApi, LostBatchError, Outcome, read_lines, to_line
from autointerp.llm.batch_state import BatchRecord, BatchState
from autointerp.llm.capabilities import Capabilities
from autointerp.llm.chat_model import (
    ChatReply,
    ChatRequest,
    Features,
    NamedModel,
    ReplyRefusedError,
    Usage,
)
from autointerp.llm.openai_compatible import OpenAICompatible
from autointerp.llm.options import ClientDependencies, ClientOptions
from autointerp.llm.wire_format import chat_body, why_refused_in

T = TypeVar("T")
_MOST_REQUESTS = 50_000
_MOST_BYTES = 200_000_000
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_ID_DIGITS = 32


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How requests are gathered, and how often batches are polled."""

    quiet_s: float = 2.0
    """A batch is sent when no request came for so long."""
    max_requests: int = _MOST_REQUESTS
    """Requests of one batch at most."""
    max_bytes: int = _MOST_BYTES
    """Bytes of one batch's file at most."""
    first_poll_s: float = 5.0
    """Wait before a batch is looked at again; it grows by half each time."""
    longest_poll_s: float = 120.0
    client: ClientOptions = ClientOptions(timeout_s=600.0)
    """Waits and attempts of single HTTP calls."""

    def __post_init__(self) -> None:
        if not 0 < self.max_requests <= _MOST_REQUESTS or not 0 < self.max_bytes <= _MOST_BYTES:
            raise InputError(
                f"a batch holds 1 to {_MOST_REQUESTS:,} requests and at most {_MOST_BYTES:,} "
                f"bytes, found {self.max_requests:,} and {self.max_bytes:,}"
            )


@dataclass(slots=True)
class _Group:
    """Requests that will be one batch."""

    lines: dict[str, bytes] = field(default_factory=dict)
    """By request key."""
    n_bytes: int = 0
    full: bool = False
    task: asyncio.Task[dict[str, Outcome]] | None = None


_FEATURES, _OPTIONS, _DEPENDENCIES = Features(), BatchOptions(), ClientDependencies()
_KNOWN = Capabilities(frozenset({"max_tokens"}))


class BatchModel(NamedModel):
    """One model at one endpoint, called in batches. An object belongs to one event loop.

    The state is a file of the batches that were sent, which are continued. A batch cannot probe
    what the endpoint takes, so that is given, or found out by a client of
    the same model. `on_event` gets a sentence whenever a batch has made progress.
    """

    def __init__(  # noqa: PLR0913 - what a client needs, and where its batches are written down
        self,
        base_url: str,
        model: str,
        *,
        state: Path,
        api_key: str | None = None,
        features: Features = _FEATURES,
        known: Capabilities = _KNOWN,
        options: BatchOptions = _OPTIONS,
        dependencies: ClientDependencies = _DEPENDENCIES,
        client: OpenAICompatible | None = None,
        on_event: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepares a client for the address up to and including ``/v1``.

        Raises:
            InputError: no address, or the state is of another endpoint or model.
        """
        super().__init__(model, features)
        self._known, self._client = known, client
        if client is not None:
            self._adopt(client)
        self._options, self._sleep, self._on_event = options, dependencies.sleep, on_event
        http = options.client
        self._api = BatchApi(
            base_url, model=model, api_key=api_key, options=http, dependencies=dependencies
        )
        self._state = BatchState(state, endpoint=self._api.endpoint, model=model)
        self._left = self._state.by_request
        self._calls: dict[str, asyncio.Task[ChatReply]] = {}
        self._batches: dict[str, asyncio.Task[dict[str, Outcome]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._group: _Group | None = None

    @override
    async def prepare(self) -> Usage | None:
        if self._client is None or self._client.features.is_known:
            return None
        usage = await self._client.prepare()
        self._adopt(self._client)
        return usage

    def _adopt(self, client: OpenAICompatible) -> None:
        self._known, self._features = client.known, client.features

    @override
    async def reply(self, request: ChatRequest) -> ChatReply:
        """The reply to one request, when its batch has ended; equal calls are sent once.

        Raises:
            RequestRefusedError: this request failed or has no result; others may have theirs.
            UpstreamError: the batch failed or expired, or the endpoint could not be used.
            StorageError: the disk refuses to keep the batch, which is not sent then.
        """
        await self.prepare()
        key = ("fresh:" if request.fresh else "") + request.key(self._name)
        call = self._calls.get(key)
        shared = call is not None and not call.done()
        if call is None or call.done():
            call = self._calls[key] = self._start(self._answer(key, request))
        reply = await asyncio.shield(call)
        if shared:
            self._total = replace(self._total, cached_replies=self._total.cached_replies + 1)
            return replace(reply, from_cache=True)
        self._total = self._total.plus(reply.usage)
        return reply

    @override
    async def close(self) -> None:
        """Stops waiting; batches that were sent go on, and the next process finds them."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()
        await self._api.close()

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Everyone who waited may have gone away.

    async def _answer(self, key: str, request: ChatRequest) -> ChatReply:
        left = self._left.pop(key, None)
        if left is not None:
            outcome = await self._left_outcome(left, key)
            if isinstance(outcome, ChatReply):
                return outcome
        outcomes = await asyncio.shield(self._join(key, request))
        result = outcomes[_custom_id(key)]
        if not isinstance(result, ChatReply):
            raise result
        why = why_refused_in(result)
        if why is not None:
            raise ReplyRefusedError(f"{self._api.endpoint} {why}", result.usage)
        return result

    async def _left_outcome(self, record: BatchRecord, key: str) -> Outcome | None:
        """What a batch of an earlier process has for a request; None where it has nothing."""
        batch = self._batches.get(record.mark)
        if batch is None:
            batch = self._batches[record.mark] = self._start(self._resume(record))
        try:
            return (await asyncio.shield(batch)).get(record.requests[key])
        except LostBatchError:
            return None

    async def _resume(self, record: BatchRecord) -> dict[str, Outcome]:
        if record.batch_id is None:
            batch = await self._api.find(record.mark)
            if batch is None:
                raise LostBatchError(f"a batch for {self._api.endpoint} was never created")
            self._state.name(record, batch.id)
        return await self._results(record)

    def _join(self, key: str, request: ChatRequest) -> asyncio.Task[dict[str, Outcome]]:
        """The batch that the request goes with."""
        body = chat_body(request, model=self._name, features=self._features, known=self._known)
        line = to_line(_custom_id(key), body)
        group = self._group
        if group is None or group.n_bytes + len(line) > self._options.max_bytes:
            if group is not None:
                group.full = True
            group = self._group = _Group()
        group.lines[key] = line
        group.n_bytes += len(line)
        if len(group.lines) == self._options.max_requests:
            group.full, self._group = True, None
        if group.task is None:
            group.task = self._start(self._send(group))
        return group.task

    async def _send(self, group: _Group) -> dict[str, Outcome]:
        n_before = 0
        while not group.full and len(group.lines) > n_before:
            n_before = len(group.lines)
            await self._sleep(self._options.quiet_s)
        if self._group is group:
            self._group = None
        ids = {key: _custom_id(key) for key in group.lines}
        record = BatchRecord(mark=secrets.token_hex(16), requests=ids)
        self._state.add(record)
        file_id = await self._api.upload(b"".join(group.lines.values()))
        batch = await self._api.create(file_id, mark=record.mark)
        self._state.name(record, batch.id)
        n_sent = self._total.requests + len(group.lines)
        self._total = replace(self._total, requests=n_sent)
        return await self._results(record)

    async def _results(self, record: BatchRecord) -> dict[str, Outcome]:
        """What became of every request of a batch, when it has ended."""
        batch = await self._wait_for(record.batch_id or "")
        if batch.status == "failed":
            raise self._failed(batch)
        outcomes: dict[str, Outcome] = {}
        for file_id in (batch.error_file_id, batch.output_file_id):
            data = await self._api.download(file_id)
            outcomes |= read_lines(data, model=self._name, batch=batch.id, hidden=self._api.hidden)
        return {i: outcomes.get(i) or _missing(batch) for i in record.requests.values()}

    async def _wait_for(self, batch_id: str) -> Batch:
        polls = Backoff(self._options.first_poll_s, self._options.longest_poll_s, factor=1.5)
        message, n_polled = "", 0
        while True:
            batch = await self._api.retrieve(batch_id)
            if _progress(batch) != message:
                message = _progress(batch)
                self._on_event(message)
            if batch.status in _ENDED:
                return batch
            n_polled += 1
            await self._sleep(polls.wait_s(n_polled))

    def _failed(self, batch: Batch) -> LostBatchError:
        errors = (batch.errors.data if batch.errors else None) or ()
        detail = "; ".join(" ".join((error.message or "").split())[:200] for error in errors[:3])
        msg = (
            f"{self._api.endpoint} rejected batch {batch.id}: {detail or 'no reason given'}; "
            "nothing of it was run: correct that, or run without --batch, with --resume"
        )
        return LostBatchError(msg)


def _custom_id(key: str) -> str:
    fresh, _, digits = key.rpartition(":")
    return ("f" if fresh else "r") + digits[:_ID_DIGITS]


def _missing(batch: Batch) -> UpstreamError:
    if batch.status == "completed":
        return RequestRefusedError(f"batch {batch.id} has no result for one request")
    msg = f"batch {batch.id} {batch.status} before one request was run; run again with --resume"
    return UpstreamError(msg, retryable=False)


def _progress(batch: Batch) -> str:
    counts = batch.request_counts
    done = f", {counts.completed} of {counts.total} answered" if counts else ""
    return f"batch {batch.id}: {batch.status.replace('_', ' ')}{done}"
