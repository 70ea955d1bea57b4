"""Arrays of numbers as bytes: what frames have besides text."""

from __future__ import annotations

import itertools
import math
import struct
import sys
from array import array
from collections.abc import Iterable, Sequence

from autointerp.core.errors import AutointerpError

_LIMITS = {
    code: (-(1 << bits - 1), (1 << bits - 1) - 1) if code.islower() else (0, (1 << bits) - 1)
    for code, bits in {"B": 8, "b": 8, "H": 16, "h": 16, "I": 32, "i": 32, "q": 64}.items()
}
_CODES = tuple(_LIMITS)
_WIDEST = "d"
_HEAD = struct.Struct("<cI")
_SPARSE = "s"
"""Of numbers most of which are 0: how many zeros stand before each other one, and those."""
_MOST_SPARSE = 1 << 24
_MOST_PLACES, _MOST_WHOLE = 9, 1 << 53


class Packer:
    """Arrays as bytes, one behind the other; `Unpacker` reads them in the same order."""

    def __init__(self, *, by_place: bool = False) -> None:
        """As in labels, or as in records.

        In labels the bytes of one place of whole numbers stand side by side, as they are alike,
        and numbers most of which are 0 take no room for those.
        """
        self._parts: list[bytes] = []
        self._by_place = by_place

    @property
    def data(self) -> bytes:
        """What was packed so far."""
        return b"".join(self._parts)

    def ints(self, values: Sequence[int]) -> None:
        """Whole numbers, in as few bytes each as the largest needs."""
        self._ints(values, min(values, default=0), max(values, default=0))

    def _ints(self, values: Sequence[int], low: int, high: int) -> None:
        fitting = (c for c, (least, most) in _LIMITS.items() if least <= low and high <= most)
        code = next(fitting, None)
        if code is None:
            raise AutointerpError(f"a number is too large to be stored: {max(high, -low)}")
        self._put(array(code, values))

    def floats(self, values: Sequence[float]) -> None:
        """Numbers: where few differ, each different one once, and which of them each is."""
        if self._by_place:
            others = [place for place, value in enumerate(values) if value]
            if 2 * len(others) < len(values) <= _MOST_SPARSE:
                self._parts.append(_HEAD.pack(_SPARSE.encode(), len(values)))
                self.ints([b - a - 1 for a, b in itertools.pairwise([-1, *others])])
                values = [values[place] for place in others]
        places = dict(zip(dict.fromkeys(values), itertools.count(), strict=False))
        if 2 * len(places) > len(values):
            self._doubles(values)
        else:
            of_values = list(map(places.__getitem__, values))
            self._ints(of_values, 0, max(0, len(places) - 1))
            self._doubles(places)

    def _doubles(self, values: Iterable[float]) -> None:
        numbers = array(_WIDEST, values)
        if not all(map(math.isfinite, numbers)):
            raise ValueError("a number that is to be stored is not finite")
        self._put(numbers)

    def decimals(self, values: Sequence[float]) -> None:
        """Numbers of few digits, as whole numbers; others as they are."""
        for places in range(_MOST_PLACES + 1):
            scale = 10**places
            if any(abs(value) * scale >= _MOST_WHOLE or _is_minus_zero(value) for value in values):
                break
            if all(round(value * scale) / scale == value for value in values):
                self.ints([places])
                self.ints([round(value * scale) for value in values])
                return
        self.ints([])
        self._doubles(values)

    def optional_floats(self, values: Sequence[float | None]) -> None:
        """Numbers, some of which there may not be."""
        self.ints([value is None for value in values])
        self.floats([value for value in values if value is not None])

    def optional_decimals(self, values: Sequence[float | None]) -> None:
        """Numbers of few digits, some of which there may not be."""
        self.ints([value is None for value in values])
        self.decimals([value for value in values if value is not None])

    def add(self, other: Packer) -> None:
        """What another packed."""
        self._parts += other._parts

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._parts += [_HEAD.pack(b"B", len(data)), data]

    def _put(self, values: array[int] | array[float]) -> None:
        if sys.byteorder == "big":
            values = values[:]
            values.byteswap()
        data, size = values.tobytes(), values.itemsize
        if self._by_place and values.typecode in _LIMITS:
            data = b"".join(data[place::size] for place in range(size))
        self._parts += [_HEAD.pack(values.typecode.encode(), len(values)), data]


class Unpacker:
    """Reads what a `Packer` wrote; anything else is a ValueError or a struct.error."""

    def __init__(self, data: bytes, *, by_place: bool = False) -> None:
        self._data, self._place, self._by_place = data, 0, by_place

    @property
    def has_ended(self) -> bool:
        """Whether all was read."""
        return self._place >= len(self._data)

    def ints(self) -> Sequence[int]:
        """Whole numbers."""
        values: array[int] = self._take(_CODES)
        return values

    def floats(self) -> list[float]:
        """Numbers."""
        kind, n = self._head()
        if kind != _SPARSE:
            return self._dense()
        if n > _MOST_SPARSE:
            raise ValueError("its arrays have more numbers than there may be")
        self._place += _HEAD.size
        numbers, place = [0.0] * n, -1
        for gap, value in zip(self.ints(), self._dense(), strict=True):
            place += gap + 1
            numbers[place] = value
        return numbers

    def _dense(self) -> list[float]:
        values = self._take((_WIDEST, *_CODES))
        if values.typecode == _WIDEST:
            return list(values)
        known: array[float] = self._take((_WIDEST,))
        return list(map(known.tolist().__getitem__, values.tolist()))

    def decimals(self) -> list[float]:
        """Numbers that may have few digits."""
        places = self.ints()
        if not places:
            return self.floats()
        if len(places) > 1 or not 0 <= places[0] <= _MOST_PLACES:
            raise ValueError("its numbers have more digits than they may have")
        return [value / 10 ** places[0] for value in self.ints()]

    def optional_floats(self) -> list[float | None]:
        """Numbers, and None where there is none."""
        return _with_gaps(self.ints(), self.floats())

    def optional_decimals(self) -> list[float | None]:
        """Numbers that may have few digits, and None where there is none."""
        return _with_gaps(self.ints(), self.decimals())

    def raw(self) -> bytes:
        """Bytes."""
        return bytes(self._take(("B",)))

    def skip_ints(self, n: int) -> int:
        """Leaves out so many arrays of whole numbers; how many numbers the last one has."""
        length = 0
        for _ in range(n):
            length = self._skip()[1]
        return length

    def skip_floats(self, n: int) -> None:
        """Leaves out so many arrays of numbers."""
        for _ in range(n):
            if self._head()[0] == _SPARSE:
                self._place += _HEAD.size
                self._skip()
            if self._skip()[0] != _WIDEST:
                self._skip()

    def skip_optional_floats(self, n: int) -> None:
        """Leaves out so many of those some of which there may not be."""
        for _ in range(n):
            self.skip_ints(1)
            self.skip_floats(1)

    def skip_decimals(self, n: int) -> None:
        """Leaves out so many arrays of numbers that may have few digits."""
        for _ in range(n):
            if self.skip_ints(1):
                self.skip_ints(1)
            else:
                self.skip_floats(1)

    def skip_optional_decimals(self, n: int) -> None:
        """Leaves out so many of those, some of which there may not be."""
        for _ in range(n):
            self.skip_ints(1)
            self.skip_decimals(1)

    @property
    def is_at_end(self) -> bool:
        """Whether all was read."""
        return self._place == len(self._data)

    def _head(self) -> tuple[str, int]:
        """Of the next array: its kind, and how many numbers it has."""
        code, n = _HEAD.unpack_from(self._data, self._place)
        return code.decode("latin-1"), n

    def _skip(self) -> tuple[str, int]:
        kind, n = self._head()
        self._place += _HEAD.size + n * array(kind).itemsize
        return kind, n

    def _take(self, codes: Sequence[str]) -> array:  # type: ignore[type-arg]
        kind, n = self._head()
        if kind not in codes:
            raise ValueError("its arrays are of another kind")
        values = array(kind)
        start = self._place + _HEAD.size
        self._place = start + n * values.itemsize
        part = self._data[start : self._place]
        if len(part) != n * values.itemsize:
            raise ValueError("its arrays are cut off")
        if self._by_place and kind in _LIMITS and values.itemsize > 1:
            together = bytearray(len(part))
            for place in range(values.itemsize):
                together[place :: values.itemsize] = part[place * n : (place + 1) * n]
            part = bytes(together)
        values.frombytes(part)
        if sys.byteorder == "big":
            values.byteswap()
        return values


def _with_gaps(missing: Sequence[int], values: Sequence[float]) -> list[float | None]:
    if sum(not one for one in missing) != len(values):
        raise ValueError("its numbers are not as many as they should be")
    there = iter(values)
    return [None if is_missing else next(there) for is_missing in missing]


def _is_minus_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0
