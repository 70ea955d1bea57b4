"""A progress that remembers what it was told."""

from __future__ import annotations

from collections import Counter

from typing_extensions import override

from autointerp.core.progress import Progress


class NotedProgress(Progress):
    """Counts what is done of each stage and keeps the notes."""

    def __init__(self) -> None:
        self.totals: dict[str, tuple[int, str]] = {}
        self.done: Counter[str] = Counter()
        self.notes: list[str] = []
        self.places: dict[str, str] = {}

    @override
    def start(self, stage: str, total: int, unit: str) -> None:
        self.totals[stage] = (total, unit)

    @override
    def advance(self, stage: str, amount: int) -> None:
        self.done[stage] += amount

    @override
    def at(self, stage: str, place: str) -> None:
        self.places[stage] = place

    @override
    def note(self, message: str) -> None:
        self.notes.append(message)
