"""Several things at a time: coroutines with or without a loop, and blocking reads ahead."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")


async def for_each(
    items: Iterable[K], task: Callable[[K], Awaitable[T]], *, at_once: int
) -> dict[K, T]:
    """What the task gives for every item, a few at a time; the first error stops the others."""
    semaphore = asyncio.Semaphore(at_once)

    async def guarded(item: K) -> T:
        async with semaphore:
            return await task(item)

    tasks = {item: asyncio.ensure_future(guarded(item)) for item in items}
    try:
        await asyncio.gather(*tasks.values())
    finally:
        for running in tasks.values():
            running.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    return {item: running.result() for item, running in tasks.items()}


def run_coroutine(coroutine: Coroutine[object, object, None]) -> None:
    """Runs a coroutine, in another thread where this one has a loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
        return
    raised: list[BaseException] = []

    def target() -> None:
        try:
            asyncio.run(coroutine)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            raised.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def prefetch(reads: Iterable[Callable[[], T]], *, n_threads: int) -> Iterator[T]:
    """What blocking reads give, in their order; each thread makes one ahead of the reader."""
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="read-ahead") as pool:
        try:
            for read in reads:
                waiting.append(pool.submit(read))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for unread in waiting:
                unread.cancel()
