"""What was spent on what: by stage, by unit and by the job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a call is for."""

    stage: str = "other"
    """``explain``, ``choose``, ``score``, ``null`` ..."""
    unit: str = ""
    """The unit as text; empty where a call is for no unit in particular."""


_NOW: ContextVar[Purpose] = ContextVar("autointerp_purpose")
_NO_PURPOSE = Purpose()


def purpose_now() -> Purpose:
    """What calls made here and now are for."""
    return _NOW.get(_NO_PURPOSE)


@contextmanager
def charge_to(stage: str | None = None, unit: str | None = None) -> Iterator[None]:
    """Calls made in the block, and in tasks it starts, are for this; None leaves it as it was."""
    before = purpose_now()
    now = Purpose(before.stage if stage is None else stage, before.unit if unit is None else unit)
    token = _NOW.set(now)
    try:
        yield
    finally:
        _NOW.reset(token)


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls and what they cost."""

    requests: int = 0
    """Calls that were paid for; repetitions inside a client are not seen from here."""
    cached_replies: int = 0
    """Replies for which nothing was sent."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the endpoint says it took from its prefix cache."""
    completion_tokens: int = 0
    usd: Decimal | None = Decimal(0)
    """None where a price is unknown."""
    assumed: int = 0
    """Calls, among the paid ones, that count as the most they can have cost."""

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens."""
        return self.prompt_tokens + self.completion_tokens

    def plus(self, more: Spent) -> Spent:
        """Both together."""
        known = self.usd is not None and more.usd is not None
        return Spent(
            self.requests + more.requests,
            self.cached_replies + more.cached_replies,
            self.prompt_tokens + more.prompt_tokens,
            self.cached_tokens + more.cached_tokens,
            self.completion_tokens + more.completion_tokens,
            (self.usd or 0) + (more.usd or Decimal(0)) if known else None,
            self.assumed + more.assumed,
        )


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What one stage spent on one unit."""

    purpose: Purpose
    spent: Spent


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a job has spent so far."""

    lines: tuple[LedgerLine, ...] = ()
    """Sorted by stage and unit."""

    @property
    def total(self) -> Spent:
        """The whole job."""
        return _sum(line.spent for line in self.lines)

    @property
    def by_stage(self) -> dict[str, Spent]:
        """Each stage over all units."""
        return self._by(lambda purpose: purpose.stage)

    @property
    def by_unit(self) -> dict[str, Spent]:
        """Each unit over all stages."""
        return self._by(lambda purpose: purpose.unit)

    def to_json(self) -> bytes:
        """JSON text; dollars are strings, so that they stay exact."""
        return _LEDGER.dump_json(self)

    @classmethod
    def from_json(cls, data: bytes) -> Ledger:
        """The ledger in a JSON text that `to_json` made."""
        return _LEDGER.validate_json(data)

    def _by(self, key: Callable[[Purpose], str]) -> dict[str, Spent]:
        found: dict[str, Spent] = {}
        for line in self.lines:
            name = key(line.purpose)
            found[name] = found.get(name, Spent()).plus(line.spent)
        return found


_LEDGER = TypeAdapter(Ledger)


def _sum(items: Iterable[Spent]) -> Spent:
    total = Spent()
    for item in items:
        total = total.plus(item)
    return total
