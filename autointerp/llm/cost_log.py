"""What calls to an LLM cost: by stage and unit, in memory and in a file.

The file survives a killed process. Calls that it left open may have been paid, so that the next
process counts them at the most they can have cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from autointerp.core.errors import StorageError
from autointerp.core.files import read_file, storage_errors, write_atomic


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a call is for."""

    stage: str = "other"
    """``explain``, ``choose``, ``score``, ``null`` ..."""
    unit: str = ""
    """The unit as text; empty where a call is for no unit in particular."""


_NO_PURPOSE = Purpose()
_PURPOSE = ContextVar("autointerp_purpose", default=_NO_PURPOSE)


def current_purpose() -> Purpose:
    """What calls made here and now are for."""
    return _PURPOSE.get()


@contextmanager
def charge_to(stage: str | None = None, unit: str | None = None) -> Iterator[None]:
    """Calls made in the block, and in tasks it starts, are for this; None leaves it as it was."""
    before = _PURPOSE.get()
    token = _PURPOSE.set(
        Purpose(before.stage if stage is None else stage, before.unit if unit is None else unit)
    )
    try:
        yield
    finally:
        _PURPOSE.reset(token)


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
class Ledger:
    """What a job has spent so far, or will spend."""

    by_purpose: Mapping[Purpose, Spent]
    """In the order of stages and units."""

    @property
    def total(self) -> Spent:
        """The whole job."""
        return reduce(Spent.plus, self.by_purpose.values(), Spent())

    @property
    def by_stage(self) -> dict[str, Spent]:
        """Each stage over all units."""
        sums: dict[str, Spent] = {}
        for purpose, spent in self.by_purpose.items():
            sums[purpose.stage] = sums.get(purpose.stage, Spent()).plus(spent)
        return sums


class _Row(BaseModel):
    """One line of the file: a sum (no id), a call that begins (``worst``) or one that ends."""

    model_config = ConfigDict(extra="forbid")

    id: int | None = None
    key: str = ""
    stage: str = ""
    unit: str = ""
    worst: Spent | None = None
    spent: Spent | None = None

    @property
    def purpose(self) -> Purpose:
        return Purpose(self.stage, self.unit)


class CostLog:
    """Records every call before it is sent and again when it has ended, in a file if named."""

    def __init__(self, path: Path | None = None, *, resumes: bool = False) -> None:
        """Reads the file (JSON lines, one writer), or begins one; None stores nothing.

        With `resumes`, a call that was left open continues when the same request is made again, as
        with batches, and so is not paid twice.

        Raises:
            StorageError: the file is damaged or cannot be read or written.
        """
        self._path, self._resumes = path, resumes
        self._closed: dict[Purpose, Spent] = {}
        self._total = Spent()
        # Calls in flight, and those whose end nobody saw.
        self._open: dict[int, _Row] = {}
        self._left: dict[str, list[int]] = {}
        self._reserved_tokens, self._reserved_usd = 0, Decimal(0)
        self._next = 0
        self._listener: Callable[[Spent], None] = lambda _: None
        if path is not None:
            self._begin(path)

    @property
    def n_open(self) -> int:
        """Calls in flight, and those that a killed process left open."""
        return len(self._open)

    def worst(self, number: int) -> Spent:
        """The most that an open call can cost."""
        return self._open[number].worst or Spent()

    def committed(self, *, resumed: str = "") -> tuple[int, Decimal | None]:
        """Tokens and dollars spent, with the most that open calls can cost.

        An open call that the request with the key `resumed` continues is not counted.
        """
        tokens, usd = self._total.tokens + self._reserved_tokens, self._total.usd
        if usd is not None:
            usd += self._reserved_usd
        if self._resumes and self._left.get(resumed):
            again = self.worst(self._left[resumed][-1])
            return tokens - again.tokens, None if usd is None else usd - (again.usd or 0)
        return tokens, usd

    @property
    def ledger(self) -> Ledger:
        """What was spent, by stage and unit; calls left open by a killed process included."""
        sums = dict(self._closed)
        for number in (n for numbers in self._left.values() for n in numbers):
            worst = replace(self.worst(number), assumed=1)
            purpose = self._open[number].purpose
            sums[purpose] = sums.get(purpose, Spent()).plus(worst)
        ordered = sorted(sums, key=lambda purpose: (purpose.stage, purpose.unit))
        return Ledger({purpose: sums[purpose] for purpose in ordered})

    def on_cost(self, listener: Callable[[Spent], None]) -> None:
        """Calls the listener with every cost that is recorded from now on."""
        self._listener = listener

    def begin_call(self, key: str, worst: Spent) -> int:
        """Records a call that is about to be sent, with the most it can cost; gives its number."""
        if self._resumes and self._left.get(key):
            self.end_call(self._left[key].pop(), Spent())
        purpose = current_purpose()
        row = _Row(id=self._next, key=key, stage=purpose.stage, unit=purpose.unit, worst=worst)
        self._write(row)
        self._hold(self._next, row)
        self._next += 1
        return self._next - 1

    def begin_within(
        self, key: str, worst: Spent, *, tokens: int | None, usd: float | None
    ) -> int | None:
        """Records a call as `begin_call` does; None where the limits leave no room for it.

        A limit in dollars is kept where the price is known.
        """
        spent_tokens, spent_usd = self.committed(resumed=key)
        if tokens is not None and spent_tokens + worst.tokens > tokens:
            return None
        if usd is None or spent_usd is None or worst.usd is None:
            return self.begin_call(key, worst)
        fits = spent_usd + worst.usd <= Decimal(str(usd))
        return self.begin_call(key, worst) if fits else None

    def add(self, spent: Spent) -> None:
        """Records a cost that needed no call."""
        purpose = current_purpose()
        self._write(_Row(stage=purpose.stage, unit=purpose.unit, spent=spent))
        self._sum_up(purpose, spent)
        self._listener(spent)

    def end_call(self, number: int, spent: Spent) -> None:
        """Records what a call has cost."""
        self._write(_Row(id=number, spent=spent))
        self._sum_up(self._release(number), spent)
        self._listener(spent)

    def _begin(self, path: Path) -> None:
        for row in _rows(path):
            self._replay(row)
        for number, call in self._open.items():
            self._left.setdefault(call.key, []).append(number)
        sums = (
            _Row(stage=purpose.stage, unit=purpose.unit, spent=spent)
            for purpose, spent in self._closed.items()
        )
        write_atomic(path, b"".join(_line(row) for row in (*sums, *self._open.values())))

    def _replay(self, row: _Row) -> None:
        if row.id is None:
            self._sum_up(row.purpose, row.spent or Spent())
            return
        self._next = max(self._next, row.id + 1)
        if row.worst is not None:
            self._hold(row.id, row)
        elif row.id in self._open:
            self._sum_up(self._release(row.id), row.spent or Spent())

    def _write(self, row: _Row) -> None:
        if self._path is not None:
            with storage_errors(self._path), self._path.open("ab") as file:
                file.write(_line(row))

    def _hold(self, number: int, row: _Row) -> None:
        self._open[number] = row
        self._reserved_tokens += self.worst(number).tokens
        self._reserved_usd += self.worst(number).usd or 0

    def _release(self, number: int) -> Purpose:
        self._reserved_tokens -= self.worst(number).tokens
        self._reserved_usd -= self.worst(number).usd or 0
        return self._open.pop(number).purpose

    def _sum_up(self, purpose: Purpose, spent: Spent) -> None:
        self._closed[purpose] = self._closed.get(purpose, Spent()).plus(spent)
        self._total = self._total.plus(spent)


def _line(row: _Row) -> bytes:
    return row.model_dump_json(exclude_defaults=True).encode() + b"\n"


def _rows(path: Path) -> Iterator[_Row]:
    """What the file holds; a last line without its end was never acted upon."""
    *lines, _torn = (read_file(path) or b"").split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            yield _Row.model_validate_json(line)
        except ValidationError as error:
            raise StorageError(
                f"line {number} of {path} is damaged; repair it, or delete the file and lose count "
                "of what was spent before"
            ) from error
