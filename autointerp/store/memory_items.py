"""Pieces of work of a board in memory: how many, who has them, how often they were tried."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from autointerp.core.service import Stage, StageCount, WorkItem
from autointerp.store.board import ItemState, Lease


@dataclass(slots=True)
class _Item:
    done: bool = False
    attempts: int = 0
    sent: float | None = None
    lease: Lease | None = None
    until: float = 0.0

    @property
    def held(self) -> Lease | None:
        return self.lease if self.until > time.monotonic() else None


class MemoryItems:
    """Not thread-safe by itself: the board locks. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, Stage], list[_Item]] = {}

    def set_number(self, owner: str, stage: Stage, n: int) -> bool:
        """Makes the items of a stage, once; whether this call did."""
        if (owner, stage) in self._items:
            return False
        self._items[owner, stage] = [_Item() for _ in range(n)]
        return True

    def forget(self, owner: str) -> None:
        """Drops every item of an owner."""
        self._items = {key: items for key, items in self._items.items() if key[0] != owner}

    def count(self, owner: str, stage: Stage) -> StageCount:
        """How many are done, of how many."""
        items = self._items.get((owner, stage), [])
        return StageCount(sum(item.done for item in items), len(items))

    def states(self, owner: str, stage: Stage) -> list[ItemState]:
        """Every item of a stage."""
        now = time.monotonic()
        return [
            ItemState(
                WorkItem(owner, stage, number),
                item.done,
                item.held.worker if item.held else None,
                item.attempts,
                None if item.sent is None else now - item.sent,
            )
            for number, item in enumerate(self._items.get((owner, stage), []))
        ]

    def mark_sent(self, items: Iterable[WorkItem]) -> None:
        """Notes that items were put into a queue now."""
        for found in map(self._find, items):
            if found is not None:
                found.sent = time.monotonic()

    def reset(self, items: Iterable[WorkItem]) -> None:
        """Makes items as they were at first."""
        for item in items:
            if self._find(item) is not None:
                self._items[item.owner, item.stage][item.number] = _Item()

    def take(self, lease: Lease, ttl_s: float) -> bool:
        """Gives the item to the lease and counts an attempt, unless it is done or held."""
        found = self._find(lease.item)
        if found is None or found.done or found.held:
            return False
        found.attempts += 1
        found.lease, found.until = lease, time.monotonic() + ttl_s
        return True

    def renew(self, lease: Lease, ttl_s: float) -> bool:
        """Keeps the lease if it still holds."""
        found = self._find(lease.item)
        if found is None or found.held != lease:
            return False
        found.until = time.monotonic() + ttl_s
        return True

    def release(self, lease: Lease, *, done: bool) -> bool:
        """Ends the lease if it still holds."""
        found = self._find(lease.item)
        if found is None or found.held != lease:
            return False
        found.lease, found.until, found.done = None, 0.0, done
        return True

    def _find(self, item: WorkItem) -> _Item | None:
        items = self._items.get((item.owner, item.stage), [])
        return items[item.number] if item.number < len(items) else None
