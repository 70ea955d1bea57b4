"""A number of every vocabulary token, for many units: the tokens are kept once for all of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

V = TypeVar("V", int, float)


class TokenRows:
    """The tokens of some columns, in one order."""

    __slots__ = ("ids", "places")

    def __init__(self, ids: Iterable[int]) -> None:
        """Takes vocabulary ids, each once."""
        self.ids = array("q", ids)
        self.places = {token: place for place, token in enumerate(self.ids)}


class TokenColumn(Mapping[int, V]):
    """Vocabulary id -> number, as one array that numpy reads without a loop."""

    __slots__ = ("numbers", "rows")

    def __init__(self, rows: TokenRows, numbers: array[V]) -> None:
        """Takes one number a row."""
        self.rows = rows
        self.numbers: array[V] = numbers

    def __getitem__(self, token: int) -> V:
        return self.numbers[self.rows.places[token]]

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows.ids)

    def __len__(self) -> int:
        return len(self.numbers)

    def of(self, tokens: Sequence[int], *, otherwise: V) -> tuple[V, ...]:
        """The number of each token, `otherwise` of one that is not in it."""
        numbers, places = self.numbers, map(self.rows.places.get, tokens)
        return tuple(otherwise if place is None else numbers[place] for place in places)
