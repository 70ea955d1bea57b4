"""A reply cache on disk: nobody pays twice for one request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import override

from autointerp.core.errors import StorageError
from autointerp.core.files import read_file, write_atomic
from autointerp.llm.answers import is_only_reasoning
from autointerp.llm.chat_model import (
    ChatModel,
    ChatReply,
    ChatRequest,
    LlmRequest,
    TokenChoice,
    TotalUsage,
    Usage,
)
from autointerp.llm.cost_log import CostLog, Spent
from autointerp.llm.wire_format import why_refused_in, without_system
from autointerp.llm.wrapped_model import WrappedModel

# Without waiting for the disk: all that a power cut costs is to send the request again.
_write = partial(write_atomic, durable=False)


class _CachedReply(BaseModel):
    """The file of one reply."""

    # The first token of an echoed text has no log-probability, and that is written NaN.
    model_config = ConfigDict(extra="forbid", strict=True, ser_json_inf_nan="constants")

    version: Literal[1] = 1
    key: str
    text: str
    finish_reason: str
    tokens: tuple[TokenChoice, ...] | None
    usage: Usage
    model: str


@dataclass(slots=True)
class _Flight:
    """One call in flight."""

    task: asyncio.Task[ChatReply]
    n_waiting: int = 0


class CachedModel(WrappedModel):
    """Any chat model with its good replies kept on disk, one file a request."""

    def __init__(
        self,
        model: ChatModel,
        folder: Path,
        *,
        identity: str | None = None,
        cost_log: CostLog | None = None,
        write: Callable[[Path, bytes], None] = _write,
    ) -> None:
        """Wraps a model; the folder is made with the first reply.

        Replies are files ``ab/abcdef....json`` in the folder, which several processes may share.
        The identity decides replies besides the request. None takes the model's name; add an
        address or a digest where one name may stand for several models.
        """
        super().__init__(model)
        self._folder = folder
        self._identity = model.name if identity is None else identity
        self._cost_log = cost_log or CostLog()
        self._write = write
        self._flights: dict[str, _Flight] = {}
        self._n_cached = 0

    @property
    @override
    def total_usage(self) -> TotalUsage:
        """The wrapped model's, with the replies for which nothing was sent."""
        total = self.wrapped.total_usage
        return replace(total, cached_replies=total.cached_replies + self._n_cached)

    @override
    async def send(self, request: LlmRequest) -> ChatReply:
        """The reply, from the cache if it is there; equal calls in flight are sent once.

        A request for a fresh reply is sent in any case, and its reply takes the old one's place.

        Raises:
            StorageError: the cache cannot be read or written.
            UpstreamError: as the wrapped model.
        """
        key = self._key(request)
        flight = self._flights.get(key)
        if flight is not None:
            reply = replace(await self._landed(key, flight), from_cache=True)
        else:
            flight = _Flight(asyncio.create_task(self._read_or_send(key, request)))
            self._flights[key] = flight
            reply = await self._landed(key, flight)
        if reply.from_cache:
            self._n_cached += 1
            self._cost_log.add(Spent(cached_replies=1))
        return reply

    def _key(self, request: LlmRequest) -> str:
        """Of the request as it is worded for the model, as far as that is known."""
        if isinstance(request, ChatRequest) and not self.features.system_role:
            request = replace(request, messages=without_system(request.messages))
        return request.key(self._identity)

    def _path(self, key: str) -> Path:
        return _path(self._folder, key)

    async def _landed(self, key: str, flight: _Flight) -> ChatReply:
        """The reply of a call in flight, which is cancelled with the last who waits for it."""
        flight.n_waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.n_waiting -= 1
            if not flight.n_waiting:
                flight.task.cancel()
                del self._flights[key]

    async def _read_or_send(self, key: str, request: LlmRequest) -> ChatReply:
        stored = None if request.fresh else _read(self._path(key), key)
        had_system_role = self.features.system_role
        if stored is None and isinstance(request, ChatRequest):
            await self.prepare()
            if self.features.system_role != had_system_role:
                key, had_system_role = self._key(request), self.features.system_role
                stored = None if request.fresh else _read(self._path(key), key)
        if stored is not None:
            return stored
        reply = await self._pass_on(request)
        if _is_kept(reply):
            if self.features.system_role != had_system_role:
                key = self._key(request)
            # Here and now, before the next request is sent: replies that wait for a thread or
            # for the disk pile up without limit, and a killed process has paid for them all.
            with _cache_errors():
                self._write(self._path(key), _encode(key, reply))
        return reply


@contextmanager
def _cache_errors() -> Iterator[None]:
    """Says of an error of the disk that it is the reply cache's."""
    try:
        yield
    except StorageError as error:
        hint = "AUTOINTERP_CACHE_DIR names another folder"
        raise StorageError(f"the reply cache cannot be used: {error}; {hint}") from error


def cached_reply(folder: Path, key: str) -> ChatReply | None:
    """The reply that is kept in a folder under a key; None where none is.

    Raises:
        StorageError: the folder cannot be read.
    """
    return _read(_path(folder, key), key)


def _path(folder: Path, key: str) -> Path:
    return folder / key[:2] / f"{key}.json"


def _read(path: Path, key: str) -> ChatReply | None:
    """The reply in a file; None where there is none or the file is damaged."""
    with _cache_errors():
        data = read_file(path)
    try:
        stored = None if data is None else _CachedReply.model_validate_json(data)
    except ValidationError:
        return None
    if stored is None or stored.key != key:
        return None
    reply = ChatReply(
        text=stored.text,
        finish_reason=stored.finish_reason,
        tokens=stored.tokens,
        usage=stored.usage,
        model=stored.model,
        from_cache=True,
    )
    return reply if _is_kept(reply) else None


def _is_kept(reply: ChatReply) -> bool:
    refused = why_refused_in(reply) is not None
    bad = refused or reply.prompt_cut or reply.finish_reason == "error"
    return not bad and not is_only_reasoning(reply)


def _encode(key: str, reply: ChatReply) -> bytes:
    # A reply that is kept has an answer, and what was thought before it is of no more use.
    left_out = {"from_cache", "thoughts", "prompt_cut"}
    stored = {f.name: getattr(reply, f.name) for f in fields(reply) if f.name not in left_out}
    return _CachedReply(key=key, **stored).model_dump_json().encode()
