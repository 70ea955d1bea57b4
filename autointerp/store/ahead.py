"""Blocking reads that are made some steps before what they give is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def read_ahead(reads: Iterable[Callable[[], T]], *, n_threads: int) -> Iterator[T]:
    """What the reads give, in their order; so many threads make one each ahead of the reader."""
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
