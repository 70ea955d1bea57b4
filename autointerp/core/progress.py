"""How long-running steps report what they are doing, without knowing who listens."""

from __future__ import annotations

import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives what is going on; a terminal shows it, a test counts it."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """A stage begins; ``total`` of ``unit`` (tokens, neurons) will be done."""

    def advance(self, stage: str, amount: int) -> None:
        """So many more are done."""

    def note(self, message: str) -> None:
        """One sentence that a person should see."""


class SilentProgress:
    """Ignores everything."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """Ignored."""

    def advance(self, stage: str, amount: int) -> None:
        """Ignored."""

    def note(self, message: str) -> None:
        """Ignored."""


@contextmanager
def timed(name: str, seconds: MutableMapping[str, float]) -> Iterator[None]:
    """Adds the wall clock of the block to the seconds of that name."""
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.monotonic() - started
