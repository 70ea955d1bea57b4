"""Blocking reads of stores for many requests: few threads, and one read for all that wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")
W = TypeVar("W")
Reading = Callable[[Sequence[W]], Sequence[T]]
"""Gives something for each that is wanted; what it raises is raised for all of them."""
_Call = Callable[[], Any]
_WaitingCall = tuple[_Call, "asyncio.Future[Any]"]
_WaitingKey = tuple[Any, "asyncio.Future[Any]"]
_AT_ONCE = 32
_BATCH_S = 0.01
_SLOW_S = 0.03
_CAREFUL_S, _MOST_CAREFUL_S = 0.25, 5.0
_THREADS = 16


async def in_thread(call: Callable[[], T], limiter: anyio.CapacityLimiter | None = None) -> T:
    """What a blocking call gives back; a caller that goes away does not wait for it."""
    return await anyio.to_thread.run_sync(call, limiter=limiter, abandon_on_cancel=True)


class BatchedReads:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[_WaitingCall] = deque()
        self._careful_until, self._careful_s = 0.0, _CAREFUL_S
        self._began: dict[asyncio.Task[None], float] = {}

    async def run(self, call: Callable[[], T], *, near: bool = False) -> T:
        """What the call gives, or raises.

        A `near` call only reads files of this machine and is made here, which takes less than
        handing it to a thread. For a while after one that took long, threads make these too: longer
        each time, as only a slow disk makes one after the other slow, and a busy machine but some.
        """
        if near and time.monotonic() > self._careful_until:
            began = time.monotonic()
            try:
                return call()
            finally:
                self._note(time.monotonic() - began)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, future))
        slow = time.monotonic() - _SLOW_S
        if len(self._began) < _THREADS and all(began < slow for began in self._began.values()):
            task = asyncio.create_task(self._work())
            self._began[task] = time.monotonic()
        return await future

    def _note(self, seconds: float) -> None:
        if seconds <= _SLOW_S:
            self._careful_s = _CAREFUL_S
            return
        self._careful_until = time.monotonic() + self._careful_s
        self._careful_s = min(2 * self._careful_s, _MOST_CAREFUL_S)

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        try:
            while self._waiting:
                self._began[me] = time.monotonic()
                await self._make_some()
        finally:
            # Not in a callback: a call that comes before that ran would find no task running.
            del self._began[me]

    async def _make_some(self) -> None:
        n = min(_AT_ONCE, len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(n)]
        result = await in_thread(partial(_some, [call for call, _ in batch]))
        self._waiting.extendleft(reversed(batch[len(result) :]))
        for (_, future), (value, error) in zip(batch, result, strict=False):
            if future.done():
                continue  # Whoever asked has gone.
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)


def _some(calls: list[_Call]) -> list[tuple[Any, Exception | None]]:
    """What the first calls give or raise: as many as there is time for, at least one."""
    until = time.monotonic() + _BATCH_S
    result: list[tuple[Any, Exception | None]] = []
    for call in calls:
        try:
            result.append((call(), None))
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            result.append((None, error))
        if time.monotonic() > until:
            break
    return result


class CombinedReads:
    """Belongs to one event loop.

    While one read is on its way the requests that come wait together for the next. Another sets
    out beside it only where it takes long: it may be its connection that is slow.
    """

    def __init__(self, calls: BatchedReads) -> None:
        self._calls = calls
        self._waiting: dict[Reading[Any, Any], list[_WaitingKey]] = {}
        self._began: dict[Reading[Any, Any], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, reading: Reading[W, T], wanted: W) -> T:
        """What the reading gives for what is wanted.

        A thread makes the reading, once for all who then wait for an equal one.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(reading, []).append((wanted, future))
        if self._began.get(reading, 0.0) < time.monotonic() - _SLOW_S:
            self._began[reading] = time.monotonic()
            task = asyncio.create_task(self._read(reading))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _read(self, reading: Reading[Any, Any]) -> None:
        while asked := self._waiting.pop(reading, None):
            began = self._began[reading] = time.monotonic()
            await self._answer(reading, asked)
            if self._began.get(reading) != began:
                return  # It took so long that another goes on.
        self._began.pop(reading, None)

    async def _answer(self, reading: Reading[Any, Any], asked: list[_WaitingKey]) -> None:
        try:
            result = await self._calls.run(partial(reading, [wanted for wanted, _ in asked]))
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), value in zip(asked, result, strict=True):
            if not future.done():  # Else whoever asked has gone.
                future.set_result(value)
