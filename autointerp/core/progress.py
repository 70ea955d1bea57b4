"""How long-running steps report what they are doing, without knowing who listens."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Protocol

from autointerp.core.ids import HookPoint


class Progress(Protocol):
    """Receives what is going on; a terminal shows it, a test counts it."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """A stage begins; ``total`` of ``unit`` (tokens, neurons) will be done."""

    def advance(self, stage: str, amount: int) -> None:
        """So many more are done."""

    def at(self, stage: str, place: str) -> None:
        """Where a stage is now, such as the layer whose units it works on."""

    def note(self, message: str) -> None:
        """One sentence that a person should see."""


class SilentProgress:
    """Ignores everything."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """Ignored."""

    def advance(self, stage: str, amount: int) -> None:
        """Ignored."""

    def at(self, stage: str, place: str) -> None:
        """Ignored."""

    def note(self, message: str) -> None:
        """Ignored."""


class Places:
    """Tells at which layer of a job's units a stage is, each time that it changes."""

    def __init__(self, progress: Progress, stage: str, hooks: Iterable[str]) -> None:
        self._progress, self._stage = progress, stage
        self._numbers = {hook: i for i, hook in enumerate(dict.fromkeys(hooks), 1)}
        self._last: str | None = None

    def show(self, hooks: Iterable[str]) -> None:
        """It works on units of these hook points now."""
        now = sorted(set(hooks), key=self._numbers.__getitem__)
        n = len(self._numbers)
        text = "all over the model"
        if len(now) == 1:
            text = f"layer {HookPoint(now[0]).layer}, {self._numbers[now[0]]} of {n}"
        elif self._numbers[now[-1]] - self._numbers[now[0]] < len(now):
            layers = f"layers {HookPoint(now[0]).layer} to {HookPoint(now[-1]).layer}"
            text = f"{layers}, {self._numbers[now[-1]]} of {n}"
        if n > 1 and text != self._last:
            self._progress.at(self._stage, text)
            self._last = text


@contextmanager
def timed(name: str, seconds: MutableMapping[str, float]) -> Iterator[None]:
    """Adds the wall clock of the block to the seconds of that name."""
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.monotonic() - started
