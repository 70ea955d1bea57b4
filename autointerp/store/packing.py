"""JSON and arrays in few bytes: the frame of packed labels and of packed sets of records.

A frame is ``AI``, a version, and a zlib stream of its parts, whose dictionary holds what most
labels have in common; so a frame of a few kilobytes can be read without any other.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from autointerp.core.errors import AutointerpError, DamagedError, newer_version
from autointerp.core.files import MOST_BYTES, REMAKE, too_large
from autointerp.store.known_text import KNOWN

SETS_VERSION, LABELS_VERSION = 1, 2
"""Of frames of records, and of labels; labels of version 1 have all of `NeuronStats` as JSON, and
the bytes of each number together."""
_N_TEXTS = 2
"""Parts of a label that are text; those behind them are numbers."""
_MAGIC = b"AI"
_LIMITS = {
    code: (-(1 << bits - 1), (1 << bits - 1) - 1) if code.islower() else (0, (1 << bits) - 1)
    for code, bits in {"B": 8, "b": 8, "H": 16, "h": 16, "I": 32, "i": 32, "q": 64}.items()
}
_CODES = tuple(_LIMITS)
_WIDEST = "d"


def is_frame(data: bytes) -> bool:
    """Whether the bytes are a frame, of whichever version."""
    return data[:2] == _MAGIC


def version_of(data: bytes) -> int:
    """The version of a frame."""
    return data[2] if len(data) > 2 else 0


def frame(parts: Sequence[bytes], *, version: int = SETS_VERSION) -> bytes:
    """The parts as one compressed value; equal parts are equal bytes."""
    sizes = struct.pack(f"<B{len(parts)}I", len(parts), *map(len, parts))
    # The highest level takes four times as long for a label, to save 1.5 % of its bytes.
    stream = zlib.compressobj(7, zdict=KNOWN[version])
    body = [stream.compress(sizes), *map(stream.compress, parts[:_N_TEXTS])]
    if version == LABELS_VERSION:
        # Numbers have a code of their own.
        body.append(stream.flush(zlib.Z_PARTIAL_FLUSH))
    body += [*map(stream.compress, parts[_N_TEXTS:]), stream.flush()]
    return _MAGIC + bytes([version]) + b"".join(body)


def unframe(
    data: bytes, n: int, *, where: str, advice: str = REMAKE, newest: int = SETS_VERSION
) -> list[bytes]:
    """The parts that `frame` was given; `newest` is the newest version that the caller reads.

    Raises:
        InputError: a newer autointerp wrote it.
        DamagedError: it is damaged, or does not have n parts.
    """
    version = version_of(data)
    if is_frame(data) and version > newest:
        raise newer_version(where, version, newest)
    with damages(where, advice):
        if not is_frame(data) or not version:
            raise ValueError("it does not begin as a packed value does")
        stream = zlib.decompressobj(zdict=KNOWN[version])
        whole = stream.decompress(data[3:], MOST_BYTES)
        if stream.unconsumed_tail:
            raise too_large(where, MOST_BYTES)
        if not stream.eof or whole[:1] != bytes([n]):
            raise ValueError("it is cut off")
        sizes = struct.unpack_from(f"<{n}I", whole, 1)
        starts = [1 + 4 * n + sum(sizes[:place]) for place in range(n + 1)]
        if starts[-1] != len(whole):
            raise ValueError("its parts are not as long as they should be")
        return [whole[start:end] for start, end in zip(starts, starts[1:], strict=False)]


@contextmanager
def damages(where: str, advice: str) -> Iterator[None]:
    """Turns whatever wrong content of bytes leads to into a DamagedError that names them."""
    try:
        yield
    except DamagedError:
        raise
    except (
        *(ValueError, TypeError, LookupError, OverflowError, ArithmeticError),
        *(AutointerpError, struct.error, zlib.error),
    ) as error:
        raise DamagedError(f"{where} is damaged: {error}; {advice}") from error


@contextmanager
def packable(what: str) -> Iterator[None]:
    """Turns whatever a field of another type leads to into one error.

    Raises:
        AutointerpError: it cannot be stored.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, OverflowError, AttributeError) as error:
        raise AutointerpError(f"this {what} cannot be stored: {error}") from error


class Packer:
    """Arrays as bytes, one behind the other; `Unpacker` reads them in the same order."""

    def __init__(self, *, by_place: bool = False) -> None:
        """With the bytes of one place of whole numbers side by side, which are alike, or not."""
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
        places = dict(zip(dict.fromkeys(values), count(), strict=False))
        if not all(map(math.isfinite, places)):
            raise ValueError("a number that is to be stored is not finite")
        if 2 * len(places) > len(values):
            self._put(array(_WIDEST, values))
        else:
            of_values = list(map(places.__getitem__, values))
            self._ints(of_values, 0, max(0, len(places) - 1))
            self._put(array(_WIDEST, places))

    def optional_floats(self, values: Sequence[float | None]) -> None:
        """Numbers, some of which there may not be."""
        self.ints([value is None for value in values])
        self.floats([value for value in values if value is not None])

    def add(self, other: Packer) -> None:
        """What another packed."""
        self._parts += other._parts

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._parts += [struct.pack("<cI", b"B", len(data)), data]

    def _put(self, values: array[int] | array[float]) -> None:
        if sys.byteorder == "big":
            values = values[:]
            values.byteswap()
        data, size = values.tobytes(), values.itemsize
        if self._by_place and values.typecode in _LIMITS:
            data = b"".join(data[place::size] for place in range(size))
        self._parts += [struct.pack("<cI", values.typecode.encode(), len(values)), data]


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
        values = self._take((_WIDEST, *_CODES))
        if values.typecode == _WIDEST:
            return list(values)
        known: array[float] = self._take((_WIDEST,))
        return list(map(known.tolist().__getitem__, values.tolist()))

    def optional_floats(self) -> list[float | None]:
        """Numbers, and None where there is none."""
        missing, values = self.ints(), iter(self.floats())
        return [None if is_missing else next(values) for is_missing in missing]

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
            if self._skip()[0] != _WIDEST:
                self._skip()

    def skip_optional_floats(self, n: int) -> None:
        """Leaves out so many of those some of which there may not be."""
        for _ in range(n):
            self.skip_ints(1)
            self.skip_floats(1)

    @property
    def is_at_end(self) -> bool:
        """Whether all was read."""
        return self._place == len(self._data)

    def _skip(self) -> tuple[str, int]:
        code, n = struct.unpack_from("<cI", self._data, self._place)
        kind = code.decode("latin-1")
        self._place += struct.calcsize("<cI") + n * array(kind).itemsize
        return kind, n

    def _take(self, codes: Sequence[str]) -> array:  # type: ignore[type-arg]
        code, n = struct.unpack_from("<cI", self._data, self._place)
        kind = code.decode("latin-1")
        if kind not in codes:
            raise ValueError("its arrays are of another kind")
        values = array(kind)
        start = self._place + struct.calcsize("<cI")
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
