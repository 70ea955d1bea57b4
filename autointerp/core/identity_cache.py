"""Results that are kept by what they were made from, without comparing or hashing that."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import update_wrapper
from typing import Generic, TypeVar, TypeVarTuple

Args = TypeVarTuple("Args")
T = TypeVar("T")

_BY_VALUE = frozenset((int, float, str))


class KeptResults(Generic[*Args, T]):
    """The last n results by their arguments; see `cached_by_identity`."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._kept: OrderedDict[tuple[object, ...], tuple[object, T]] = OrderedDict()

    def keep(self, result: T, *args: *Args) -> None:
        """Keeps what was made of these arguments."""
        # The arguments are kept too, or another object could get the id of one.
        self._kept[_key(args)] = args, result
        while len(self._kept) > self._n:
            self._kept.popitem(last=False)

    def known(self, *args: *Args) -> T | None:
        """The result if it is kept."""
        kept = self._kept.get(_key(args))
        return None if kept is None else kept[1]


class Cached(KeptResults[*Args, T]):
    """A function whose last results are kept; made by `cached_by_identity`."""

    def __init__(self, function: Callable[[*Args], T], n: int) -> None:
        super().__init__(n)
        update_wrapper(self, function)
        self._function = function

    def __call__(self, *args: *Args) -> T:
        """The result for these arguments."""
        kept = self._kept.get(_key(args))
        if kept is not None:
            return kept[1]
        result = self._function(*args)
        self.keep(result, *args)
        return result


def cached_by_identity(n: int) -> Callable[[Callable[[*Args], T]], Cached[*Args, T]]:
    """Keeps a function's last n results; for arguments that never change.

    Numbers and text are compared as values, all else by identity: of large values that are equal
    but not the same object the result is made again. What it is called with is kept as long, so
    that n is to be small where that is large.
    """
    return lambda function: Cached(function, n)


def _key(args: tuple[object, ...]) -> tuple[object, ...]:
    return tuple([a if type(a) in _BY_VALUE else id(a) for a in args])
