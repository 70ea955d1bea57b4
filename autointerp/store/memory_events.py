"""What a board in memory tells those who wait: events of jobs, replies to questions."""

from __future__ import annotations

import bisect
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping

from autointerp.core.errors import InputError
from autointerp.core.service import JobEvent
from autointerp.store.board import Question

Data = Mapping[str, str | int | float | None]


class MemoryEvents:
    """Events by job, and replies that end after a while; waits end when something comes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: defaultdict[str, list[JobEvent]] = defaultdict(list)
        self._questions: defaultdict[str, deque[tuple[str, str, float]]] = defaultdict(deque)
        self._replies: dict[str, tuple[str, float]] = {}

    def add(self, owner: str, kind: str, data: Data) -> None:
        """Appends an event, whose id is greater than the last one's whatever the clock says."""
        with self._changed:
            events = self._events[owner]
            now = int(time.time() * 1000)
            last_ms, last_number = event_order(events[-1].id) if events else (0, 0)
            ms, number = (now, 0) if now > last_ms else (last_ms, last_number + 1)
            events.append(JobEvent(f"{ms}-{number}", kind, data))
            self._changed.notify_all()

    def add_json(self, owner: str, kind: str, data: str) -> None:
        """Appends an event whose data are a JSON object."""
        self.add(owner, kind, json.loads(data))

    def read(self, owner: str, *, after: str | None, limit: int, wait_s: float) -> list[JobEvent]:
        """Events after an id, waiting for the first."""
        order = event_order(after) if after is not None else (-1, 0)
        with self._changed:
            self._changed.wait_for(lambda: self._after(owner, order), timeout=wait_s)
            return self._after(owner, order)[:limit]

    def ask(self, queue: str, question: str, text: str, ttl_s: float) -> None:
        """Keeps a question until somebody takes it, or for a while."""
        with self._changed:
            self._questions[queue].append((question, text, time.monotonic() + ttl_s))
            self._changed.notify_all()

    def next_question(self, queue: str, wait_s: float) -> Question | None:
        """The oldest that still stands, waiting for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._stands(queue), timeout=wait_s)
            if not self._stands(queue):
                return None
            question, text, until = self._questions[queue].popleft()
            return Question(question, text, until - time.monotonic())

    def _stands(self, queue: str) -> bool:
        waiting = self._questions[queue]
        while waiting and waiting[0][2] <= time.monotonic():
            waiting.popleft()
        return bool(waiting)

    def forget(self, owner: str) -> None:
        """Drops the events of an owner."""
        with self._changed:
            self._events.pop(owner, None)

    def answer(self, question: str, reply: str, ttl_s: float) -> None:
        """Keeps a reply for a while; the first one counts."""
        now = time.monotonic()
        with self._changed:
            self._replies = {q: kept for q, kept in self._replies.items() if kept[1] > now}
            self._replies.setdefault(question, (reply, now + ttl_s))
            self._changed.notify_all()

    def await_answer(self, question: str, wait_s: float) -> str | None:
        """The reply, or None where none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: question in self._replies, timeout=wait_s)
            reply, until = self._replies.get(question, (None, 0.0))
            return reply if until > time.monotonic() else None

    def _after(self, owner: str, order: tuple[int, int]) -> list[JobEvent]:
        events = self._events.get(owner, [])
        return events[bisect.bisect_right(events, order, key=lambda e: event_order(e.id)) :]


def event_order(event_id: str) -> tuple[int, int]:
    """What an event's id sorts by.

    Raises:
        InputError: it is no id of an event.
    """
    ms, dash, number = event_id.partition("-")
    parts = (ms, number if dash else "0")
    if not all(part.isascii() and part.isdigit() and len(part) <= 19 for part in parts):
        msg = f"{event_id!r} is no id of an event; write milliseconds-number, or leave it out"
        raise InputError(msg)
    return int(parts[0]), int(parts[1])
