"""Results that are kept by what they were made from, without comparing or hashing that."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import TypeVar, TypeVarTuple

Args = TypeVarTuple("Args")
T = TypeVar("T")


def cached_by_identity(n: int) -> Callable[[Callable[[*Args], T]], Callable[[*Args], T]]:
    """Keeps a function's last n results; for arguments that never change.

    Numbers and text are compared as values, all else by identity: of large values that are equal
    but not the same object the result is made again. What it is called with is kept as long, so
    that n is to be small where that is large.
    """

    def decorate(function: Callable[[*Args], T]) -> Callable[[*Args], T]:
        kept: OrderedDict[tuple[object, ...], tuple[object, T]] = OrderedDict()

        @wraps(function)
        def cached(*args: *Args) -> T:
            key = tuple(a if isinstance(a, int | float | str) else id(a) for a in args)
            known = kept.get(key)
            if known is not None:
                return known[1]
            result = function(*args)
            # The arguments are kept too, or another object could get the id of one.
            kept[key] = args, result
            while len(kept) > n:
                kept.popitem(last=False)
            return result

        return cached

    return decorate
