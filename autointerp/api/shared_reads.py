"""What many requests want of the same store, read at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from autointerp.api.batches import Batches

T = TypeVar("T")
W = TypeVar("W")
Reading = Callable[[Sequence[W]], Sequence[T]]
"""Gives something for each that is wanted; what it raises is raised for all of them."""
_Asked = tuple[Any, "asyncio.Future[Any]"]
_SLOW_S = 0.03


class SharedReads:
    """Belongs to one event loop.

    While one read is on its way the requests that come wait together for the next. Another sets
    out beside it only where it takes long: it may be its connection that is slow.
    """

    def __init__(self, calls: Batches) -> None:
        self._calls = calls
        self._waiting: dict[Reading[Any, Any], list[_Asked]] = {}
        self._began: dict[Reading[Any, Any], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, reading: Reading[W, T], wanted: W) -> T:
        """What the reading gives for what is wanted.

        Args:
            reading: is made by a thread, once for all who then wait for an equal one.
            wanted: what is handed to it.
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

    async def _answer(self, reading: Reading[Any, Any], asked: list[_Asked]) -> None:
        try:
            found = await self._calls.run(partial(reading, [wanted for wanted, _ in asked]))
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), value in zip(asked, found, strict=True):
            if not future.done():  # Else whoever asked has gone.
                future.set_result(value)
