"""Short blocking calls of many requests, made by as few threads as keep up with them.

A thread for each would cost more than most of the calls, and threads that all compute hold each
other up. One thread makes the calls of all requests, some at a time, and others help while it
waits for a slow store.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from autointerp.api.waiting import in_thread

T = TypeVar("T")
_Call = Callable[[], Any]
_Asked = tuple[_Call, "asyncio.Future[Any]"]
_AT_ONCE = 32
_BATCH_S = 0.01
_SLOW_S = 0.03
_CAREFUL_S = 5.0
_THREADS = 16


class Batches:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[_Asked] = deque()
        self._careful_until = 0.0
        self._began: dict[asyncio.Task[None], float] = {}

    async def run(self, call: Callable[[], T], *, near: bool = False) -> T:
        """What the call gives, or raises.

        Args:
            call: is made by a thread.
            near: it only reads files of this machine, and is made here: that takes less than
                handing it over. For a while after one that took long, threads make these too.
        """
        if near and time.monotonic() > self._careful_until:
            began = time.monotonic()
            try:
                return call()
            finally:
                if time.monotonic() - began > _SLOW_S:
                    self._careful_until = time.monotonic() + _CAREFUL_S
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, future))
        slow = time.monotonic() - _SLOW_S
        if len(self._began) < _THREADS and all(began < slow for began in self._began.values()):
            task = asyncio.create_task(self._work())
            self._began[task] = time.monotonic()
        return await future

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        try:
            while self._waiting:
                self._began[me] = time.monotonic()
                await self._make_some()
        finally:
            # Not in a callback: a call that comes before that ran would find nobody at work.
            del self._began[me]

    async def _make_some(self) -> None:
        n = min(_AT_ONCE, len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(n)]
        found = await in_thread(partial(_some, [call for call, _ in batch]))
        self._waiting.extendleft(reversed(batch[len(found) :]))
        for (_, future), (value, error) in zip(batch, found, strict=False):
            if future.done():
                continue  # Whoever asked has gone.
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)


def _some(calls: list[_Call]) -> list[tuple[Any, Exception | None]]:
    """What the first calls give or raise: as many as there is time for, at least one."""
    until = time.monotonic() + _BATCH_S
    found: list[tuple[Any, Exception | None]] = []
    for call in calls:
        try:
            found.append((call(), None))
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            found.append((None, error))
        if time.monotonic() > until:
            break
    return found
