"""What workers say of themselves, on a board in memory: that they live, and who leads."""

from __future__ import annotations

import time

from autointerp.store.board import WorkerInfo


class MemorySigns:
    """Signs that end after a while; the board's lock is held by whoever calls."""

    def __init__(self) -> None:
        self._workers: dict[str, tuple[str, str | None, float, float]] = {}
        self._leaders: dict[str, tuple[str, float]] = {}

    def say_alive(self, worker: str, queue: str, doing: str | None, ttl_s: float) -> None:
        """A worker's sign of life."""
        now = time.monotonic()
        self._workers[worker] = (queue, doing, now, now + ttl_s)

    def workers(self) -> list[WorkerInfo]:
        """Workers whose sign of life still holds, by name."""
        now = time.monotonic()
        return [
            WorkerInfo(name, queue, doing, now - seen)
            for name, (queue, doing, seen, until) in sorted(self._workers.items())
            if until > now
        ]

    def lead(self, name: str, who: str, ttl_s: float) -> bool:
        """Whether `who` is the one that does something of which one at a time is enough."""
        now = time.monotonic()
        leader, until = self._leaders.get(name, (who, 0.0))
        if leader != who and until > now:
            return False
        self._leaders[name] = (who, now + ttl_s)
        return True
