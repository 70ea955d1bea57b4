"""A reply cache on disk: nobody pays twice for one request."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from autointerp.core.errors import StorageError
from autointerp.llm.protocol import (
    ChatModel,
    ChatReply,
    ChatRequest,
    TokenChoice,
    TotalUsage,
    Usage,
)
from autointerp.llm.wrapped import WrappedModel


class _Stored(BaseModel):
    # The first token of an echoed text has no log-probability, and that is written NaN.
    model_config = ConfigDict(extra="forbid", strict=True, ser_json_inf_nan="constants")


class _StoredToken(_Stored):
    token: str
    logprob: float
    alternatives: list[tuple[str, float]]


class _StoredUsage(_Stored):
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


class _StoredReply(_Stored):
    version: Literal[1] = 1
    key: str
    text: str
    finish_reason: str
    tokens: list[_StoredToken] | None
    usage: _StoredUsage
    model: str


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Puts the data in place whole or not at all.

    Once this returns the data survives the end of the process, and a power cut where it is
    durable.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _write_for_now(path: Path, data: bytes) -> None:
    """Without waiting for the disk: all that a power cut costs is to ask again."""
    write_atomically(path, data, durable=False)


@dataclass(slots=True)
class _Flight:
    """One call on its way."""

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
        write: Callable[[Path, bytes], None] = _write_for_now,
    ) -> None:
        """Wraps a model; the folder is made with the first reply.

        Args:
            model: who answers what is not in the cache.
            folder: where replies lie, ``ab/abcdef....json``; several processes may share it.
            identity: what decides replies besides the request. None takes the model's name;
                add an address or a digest where one name may stand for several models.
            write: puts bytes at a path, whole or not at all.
        """
        super().__init__(model)
        self._folder = folder
        self._identity = model.name if identity is None else identity
        self._write = write
        self._flights: dict[str, _Flight] = {}
        self._n_cached = 0

    @property
    def total_usage(self) -> TotalUsage:
        """The wrapped model's, with the replies for which nothing was sent."""
        total = self._model.total_usage
        return replace(total, cached_replies=total.cached_replies + self._n_cached)

    async def reply(self, request: ChatRequest) -> ChatReply:
        """The answer, from the cache if it is there; equal calls in flight are sent once.

        A request for a fresh reply is sent in any case, and its reply takes the old one's place.

        Raises:
            StorageError: the cache cannot be read or written.
            UpstreamError: as the wrapped model.
        """
        key = request.key(self._identity)
        flight = self._flights.get(key)
        if flight is not None:
            reply = replace(await self._landed(key, flight), from_cache=True)
        else:
            flight = _Flight(asyncio.create_task(self._look_up_or_ask(key, request)))
            self._flights[key] = flight
            reply = await self._landed(key, flight)
        self._n_cached += reply.from_cache
        return reply

    async def _landed(self, key: str, flight: _Flight) -> ChatReply:
        """The reply of a call on its way, which is cancelled with the last who waits for it."""
        flight.n_waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.n_waiting -= 1
            if not flight.n_waiting:
                flight.task.cancel()
                del self._flights[key]

    async def _look_up_or_ask(self, key: str, request: ChatRequest) -> ChatReply:
        path = self._folder / key[:2] / f"{key}.json"
        kept = None if request.fresh else self._read(path, key)
        if kept is not None:
            return kept
        reply = await self._model.reply(request)
        if reply.finish_reason != "error":
            # Here and now, before the next request is sent: replies that wait for a thread or
            # for the disk pile up without limit, and a killed process has paid for them all.
            self._keep(path, _encode(key, reply))
        return reply

    def _read(self, path: Path, key: str) -> ChatReply | None:
        """The reply in a file; None where there is none or the file is damaged."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            msg = (
                f"could not read the reply cache at {path}: {error.strerror}; "
                "mend its permissions or use another cache folder"
            )
            raise StorageError(msg) from error
        try:
            stored = _StoredReply.model_validate_json(data)
        except ValidationError:
            return None
        return _decode(stored) if stored.key == key else None

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            self._write(path, data)
        except OSError as error:
            msg = (
                f"could not keep a reply in {self._folder}: {error.strerror}; "
                "free some space or use another cache folder, what is kept already stays"
            )
            raise StorageError(msg) from error


def _encode(key: str, reply: ChatReply) -> bytes:
    tokens = reply.tokens
    stored = _StoredReply(
        key=key,
        text=reply.text,
        finish_reason=reply.finish_reason,
        tokens=None if tokens is None else [_stored_token(token) for token in tokens],
        usage=_StoredUsage(
            prompt_tokens=reply.usage.prompt_tokens,
            completion_tokens=reply.usage.completion_tokens,
            cached_tokens=reply.usage.cached_tokens,
        ),
        model=reply.model,
    )
    return stored.model_dump_json().encode()


def _stored_token(token: TokenChoice) -> _StoredToken:
    return _StoredToken(
        token=token.token, logprob=token.logprob, alternatives=list(token.alternatives)
    )


def _decode(stored: _StoredReply) -> ChatReply:
    tokens = stored.tokens
    return ChatReply(
        text=stored.text,
        finish_reason=stored.finish_reason,
        tokens=None
        if tokens is None
        else tuple(TokenChoice(t.token, t.logprob, tuple(t.alternatives)) for t in tokens),
        usage=Usage(
            stored.usage.prompt_tokens,
            stored.usage.completion_tokens,
            stored.usage.cached_tokens,
        ),
        model=stored.model,
        from_cache=True,
    )
