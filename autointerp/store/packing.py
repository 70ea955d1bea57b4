"""Parts in few bytes: the frame of packed labels and of packed sets of records.

A frame is ``AI``, a version, and a zlib stream of its parts, whose dictionary holds what most
labels have in common; so a frame of a few kilobytes can be read without any other.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from autointerp.core.errors import AutointerpError, DamagedError, newer_version
from autointerp.core.files import MOST_BYTES, REMAKE, too_large
from autointerp.store.known_text import KNOWN

SETS_VERSION, LABELS_VERSION = 1, 3
"""Of frames of records, and of labels."""
STATS_AS_ARRAYS, DECIMALS = 2, 3
"""The first versions of labels that do not have all of `NeuronStats` as JSON and the bytes of each
number together, and that have ends of intervals and effects on logits as decimals."""
_N_TEXTS = 2
"""Parts of a label that are text; those behind them are numbers."""
_MAGIC = b"AI"


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
    if version > SETS_VERSION:
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
