"""The cost log of a job: what every call cost, in a file that survives a killed process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from autointerp.core.errors import StorageError
from autointerp.llm.cache import write_atomically
from autointerp.llm.ledger import Ledger, LedgerLine, Purpose, Spent, purpose_now


class _Row(BaseModel):
    """One line of the file: a sum (no id), a call that begins (``worst``) or one that ends."""

    model_config = ConfigDict(extra="forbid")

    id: int | None = None
    key: str = ""
    stage: str = ""
    unit: str = ""
    worst: Spent | None = None
    spent: Spent | None = None


@dataclass(frozen=True, slots=True)
class _Open:
    """A call on its way, or one whose end nobody saw."""

    key: str
    purpose: Purpose
    worst: Spent


class CostLog:
    """Records every call before it is sent and again when it has ended, in a file if there is one.

    A process that is killed leaves calls open in the file. They may have been paid, so that the
    next process counts them at the most they can have cost.
    """

    def __init__(self, path: Path | None = None, *, resumes: bool = False) -> None:
        """Reads the file, or begins one.

        Args:
            path: JSON lines, one writer; None keeps nothing.
            resumes: whether a call that was left open continues when the same request is made
                again, as with batches, and so is not paid twice.

        Raises:
            StorageError: the file is damaged or cannot be read or written.
        """
        self._path, self._resumes = path, resumes
        self._closed: dict[Purpose, Spent] = {}
        self._total = Spent()
        self._open: dict[int, _Open] = {}
        self._left: dict[str, list[int]] = {}
        self._reserved_tokens, self._reserved_usd = 0, Decimal(0)
        self._next = 0
        self._listener: Callable[[Spent], None] = lambda _: None
        if path is not None:
            self._begin(path)

    @property
    def spent(self) -> Spent:
        """What calls that ended have cost."""
        return self._total

    def committed(self, *, resumed: str = "") -> tuple[int, Decimal | None]:
        """Tokens and dollars spent, with the most that open calls can cost.

        Args:
            resumed: key of a request; an open call that it continues is not counted.
        """
        tokens, usd = self._total.tokens + self._reserved_tokens, self._total.usd
        if usd is not None:
            usd += self._reserved_usd
        if self._resumes and self._left.get(resumed):
            again = self._open[self._left[resumed][-1]].worst
            return tokens - again.tokens, None if usd is None else usd - (again.usd or 0)
        return tokens, usd

    @property
    def ledger(self) -> Ledger:
        """What was spent, calls left open by a killed process included."""
        sums = dict(self._closed)
        for number in (n for numbers in self._left.values() for n in numbers):
            left = self._open[number]
            worst = replace(left.worst, assumed=1)
            sums[left.purpose] = sums.get(left.purpose, Spent()).plus(worst)
        ordered = sorted(sums, key=lambda purpose: (purpose.stage, purpose.unit))
        return Ledger(tuple(LedgerLine(purpose, sums[purpose]) for purpose in ordered))

    def on_cost(self, listener: Callable[[Spent], None]) -> None:
        """Calls the listener with every cost that is recorded from now on."""
        self._listener = listener

    def begin_call(self, key: str, worst: Spent) -> int:
        """Records a call that is about to be sent; gives its number.

        Args:
            key: the request's.
            worst: the most it can cost.
        """
        if self._resumes and self._left.get(key):
            self.end_call(self._left[key].pop(), Spent())
        number, call = self._next, _Open(key, purpose_now(), worst)
        self._write(_opening(number, call))
        self._hold(number, call)
        self._next += 1
        return number

    def begin_within(
        self, key: str, worst: Spent, *, tokens: int | None, usd: float | None
    ) -> int | None:
        """Records a call as `begin_call` does; None where the limits leave no room for it.

        Args:
            key: the request's.
            worst: the most it can cost.
            tokens: the most that may be spent; None for no limit.
            usd: likewise in dollars, kept where the price is known.
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
        purpose = purpose_now()
        self._write(_Row(stage=purpose.stage, unit=purpose.unit, spent=spent))
        self._sum_up(purpose, spent)
        self._listener(spent)

    def end_call(self, number: int, spent: Spent) -> None:
        """Records what a call has cost."""
        self._write(_Row(id=number, spent=spent))
        self._sum_up(self._release(number), spent)
        self._listener(spent)

    def _begin(self, path: Path) -> None:
        try:
            rows = list(_rows(path)) if path.exists() else []
            for row in rows:
                self._replay(row)
            for number, call in self._open.items():
                self._left.setdefault(call.key, []).append(number)
            write_atomically(path, b"".join(_line(row) for row in self._compact()))
        except OSError as error:
            raise _refused(path, error) from error

    def _replay(self, row: _Row) -> None:
        purpose = Purpose(row.stage, row.unit)
        if row.id is None:
            self._sum_up(purpose, row.spent or Spent())
            return
        self._next = max(self._next, row.id + 1)
        if row.worst is not None:
            self._hold(row.id, _Open(row.key, purpose, row.worst))
        elif row.id in self._open:
            self._sum_up(self._release(row.id), row.spent or Spent())

    def _compact(self) -> Iterator[_Row]:
        for purpose, spent in self._closed.items():
            yield _Row(stage=purpose.stage, unit=purpose.unit, spent=spent)
        for number, call in self._open.items():
            yield _opening(number, call)

    def _write(self, row: _Row) -> None:
        if self._path is None:
            return
        try:
            with self._path.open("ab") as file:
                file.write(_line(row))
        except OSError as error:
            raise _refused(self._path, error) from error

    def _hold(self, number: int, call: _Open) -> None:
        self._open[number] = call
        self._reserved_tokens += call.worst.tokens
        self._reserved_usd += call.worst.usd or 0

    def _release(self, number: int) -> Purpose:
        call = self._open.pop(number)
        self._reserved_tokens -= call.worst.tokens
        self._reserved_usd -= call.worst.usd or 0
        return call.purpose

    def _sum_up(self, purpose: Purpose, spent: Spent) -> None:
        self._closed[purpose] = self._closed.get(purpose, Spent()).plus(spent)
        self._total = self._total.plus(spent)


def _opening(number: int, call: _Open) -> _Row:
    stage, unit = call.purpose.stage, call.purpose.unit
    return _Row(id=number, key=call.key, stage=stage, unit=unit, worst=call.worst)


def _line(row: _Row) -> bytes:
    return row.model_dump_json(exclude_defaults=True).encode() + b"\n"


def _rows(path: Path) -> Iterator[_Row]:
    """What the file holds; a last line without its end was never acted upon."""
    *lines, _torn = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            yield _Row.model_validate_json(line)
        except ValidationError as error:
            msg = (
                f"line {number} of {path} is damaged; repair it, or delete the file and lose count "
                "of what was spent before"
            )
            raise StorageError(msg) from error


def _refused(path: Path, error: OSError) -> StorageError:
    msg = (
        f"could not write the cost log {path}: {error.strerror}; free some space or fix its "
        "permissions, and run again with --resume"
    )
    return StorageError(msg)
