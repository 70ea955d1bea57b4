"""What the tokens of one window add to a block of units, compiled.

An activation is read as the integer that its bits are: 32 of a float32, 16 of a bfloat16, which is
the upper half of the float32 of that value. All but sums is arithmetic on such integers, as narrow
as they come, so that one instruction treats as many units as it can.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.activations.kernels.cpu_arrays import code_of
from autointerp.activations.kernels.encoding import FIRST_CODE, N_BINS, N_SIGNED_BINS
from autointerp.statistics.compiled.compilation import CACHED, compiled_inner

PART = 64
"""Units whose histograms fit a thread's nearest cache."""
ROWS = 256
"""Tokens whose bins are found before they are counted."""
_AT_ONCE = 4
"""Tokens whose values are combined before they touch the running ones."""

_ONE = np.uint16(1)
_N_BINS = np.uint64(N_SIGNED_BINS)
_ZERO = np.uint64(N_BINS)

Floats = NDArray[np.float64]
Codes = NDArray[np.integer[Any]]
"""Activations as signed integers with the same bits."""


class Block(NamedTuple):
    """Running values of a block of units within one batch."""

    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    above: Codes
    """Tokens above the threshold, in the type of the activations; `below` likewise."""
    below: Codes
    high: Codes
    """Of each window, in order-preserving form, shape (batch, unit); `low` likewise."""
    low: Codes
    places: NDArray[np.uint8]
    """Signed bins of tokens that are not yet counted, shape (ROWS, unit)."""


class ReadWindow(NamedTuple):
    """A block's activations on one window; those at a position begin at codes[pos * stride]."""

    codes: Codes
    pos_stride: int
    length: int
    row: int
    """Its place in the batch."""
    unit: int
    """The block's first."""


@njit(nogil=True, cache=CACHED, inline="always")
def n_bits_of(kind: Any) -> int:
    """16 or 32, bits of a type; folded to a constant when compiled, as shifts need."""
    return 32 if kind(1 << 16) != kind(0) else 16


@njit(nogil=True, cache=CACHED, inline="always")
def value_of(code: Any, n_bits: int) -> np.float32:
    """The activation of which these are the bits."""
    return np.int32(np.int32(code) << np.int32(32 - n_bits)).view(np.float32)


@njit(nogil=True, cache=CACHED, inline="always")
def in_order(code: Any, kind: Any, n_bits: int) -> Any:
    """Bits as an integer that grows with the activation; and such an integer's bits."""
    below = kind(code >> kind(n_bits - 1))
    return kind(code ^ kind(below & kind((1 << (n_bits - 1)) - 1)))


@njit(nogil=True, cache=CACHED, inline="always")
def _opposite(code: Any, kind: Any, n_bits: int) -> Any:
    return kind(code ^ kind(-(1 << (n_bits - 1))))


@njit(nogil=True, cache=CACHED, inline="always")
def _place(code: Any, kind: Any, n_bits: int) -> np.uint8:
    """The signed bin."""
    size = kind(kind(code & kind((1 << (n_bits - 1)) - 1)) >> kind(n_bits - 11))
    size = kind(size - kind(FIRST_CODE))
    size = size if size > kind(0) else kind(0)
    size = size if size < kind(N_BINS - 1) else kind(N_BINS - 1)
    # Both zeros are in one bin: -0.0 is not below it.
    negative = _opposite(code, kind, n_bits) > kind(0)
    return np.uint8(kind(kind(N_BINS - 1) - size) if negative else kind(kind(N_BINS) + size))


@compiled_inner
def add_dense(
    counts: NDArray[np.uint16],
    block: Block,
    window: ReadWindow,
    threshold: np.float32,
    waiting: int,
) -> int:
    """Adds a window; `counts` is the flat pending histogram of all units.

    Returns:
        How many tokens wait in `block.places` now; before there were `waiting`.
    """
    kind, codes, step = window.codes.dtype.type, window.codes, np.uint64(window.pos_stride)
    limit = kind(code_of(threshold) >> np.int32(32 - n_bits_of(kind)))
    n, places = np.uint64(len(block.sums)), block.places.reshape(-1)
    sums, squares, above, below = block.sums, block.squares, block.above, block.below
    high, low, row = block.high.reshape(-1), block.low.reshape(-1), n * np.uint64(window.row)
    # One pass in the order of memory; places wait in the caches until there are many. No array
    # is made in it: that would cost more than what is done with one token.
    for position in range(0, window.length, _AT_ONCE):
        n_tokens = min(_AT_ONCE, window.length - position)
        first = np.uint64(position) * step
        if n_tokens == _AT_ONCE:
            _add_values(codes, first, step, n, sums, squares)
            _add_ends(codes, first, step, n, high, low, row)
            _add_sides(codes, first, step, n, above, below, limit)
        else:
            for token in range(n_tokens):
                at = first + np.uint64(token) * step
                _add_token(codes[at : at + n], block, window.row, limit)
        if waiting + n_tokens > ROWS:
            count_places(counts, block.places, waiting, window.unit)
            waiting = 0
        for token in range(n_tokens):
            at = first + np.uint64(token) * step
            find_places(codes, at, n, places, n * np.uint64(waiting + token))
        waiting += n_tokens
    return waiting


@njit(nogil=True, cache=CACHED, inline="always")
def _add_values(  # noqa: PLR0913, PLR0917
    codes: Codes, first: np.uint64, step: np.uint64, n: np.uint64, sums: Floats, squares: Floats
) -> None:
    n_bits = n_bits_of(codes.dtype.type)
    second = first + step
    third, fourth = second + step, second + step + step
    for i in range(n):
        a = np.float64(value_of(codes[first + i], n_bits))
        b = np.float64(value_of(codes[second + i], n_bits))
        c = np.float64(value_of(codes[third + i], n_bits))
        d = np.float64(value_of(codes[fourth + i], n_bits))
        sums[i] += (a + b) + (c + d)
        squares[i] += (a * a + b * b) + (c * c + d * d)


@njit(nogil=True, cache=CACHED, inline="always")
def _add_ends(  # noqa: PLR0913, PLR0917
    codes: Codes,
    first: np.uint64,
    step: np.uint64,
    n: np.uint64,
    high: Codes,
    low: Codes,
    row: np.uint64,
) -> None:
    kind, n_bits = codes.dtype.type, n_bits_of(codes.dtype.type)
    second = first + step
    third, fourth = second + step, second + step + step
    for i in range(n):
        p = in_order(codes[first + i], kind, n_bits)
        q = in_order(codes[second + i], kind, n_bits)
        r = in_order(codes[third + i], kind, n_bits)
        s = in_order(codes[fourth + i], kind, n_bits)
        high[row + i] = max(p, q, r, s, high[row + i])
        low[row + i] = min(p, q, r, s, low[row + i])


@njit(nogil=True, cache=CACHED, inline="always")
def _add_sides(  # noqa: PLR0913, PLR0917
    codes: Codes,
    first: np.uint64,
    step: np.uint64,
    n: np.uint64,
    above: Codes,
    below: Codes,
    limit: Any,
) -> None:
    kind, n_bits = codes.dtype.type, n_bits_of(codes.dtype.type)
    second = first + step
    third, fourth = second + step, second + step + step
    for i in range(n):
        p, q, r, s = codes[first + i], codes[second + i], codes[third + i], codes[fourth + i]
        seen = kind(
            kind(kind(p > limit) + kind(q > limit)) + kind(kind(r > limit) + kind(s > limit))
        )
        above[i] = kind(above[i] + seen)
    for i in range(n):
        p = _opposite(codes[first + i], kind, n_bits)
        q = _opposite(codes[second + i], kind, n_bits)
        r = _opposite(codes[third + i], kind, n_bits)
        s = _opposite(codes[fourth + i], kind, n_bits)
        seen = kind(
            kind(kind(p > limit) + kind(q > limit)) + kind(kind(r > limit) + kind(s > limit))
        )
        below[i] = kind(below[i] + seen)


@compiled_inner
def _add_token(codes: Codes, block: Block, row: int, limit: Any) -> None:
    n, kind, n_bits = len(codes), codes.dtype.type, n_bits_of(codes.dtype.type)
    # Loops of their own: one over so many arrays at once would not become vector instructions.
    for i in range(n):
        exact = np.float64(value_of(codes[i], n_bits))
        block.sums[i] += exact
        block.squares[i] += exact * exact
    high, low = block.high[row], block.low[row]
    for i in range(n):
        ordered = in_order(codes[i], kind, n_bits)
        high[i], low[i] = max(high[i], ordered), min(low[i], ordered)
    for i in range(n):
        block.above[i] += kind(codes[i] > limit)
        block.below[i] += kind(_opposite(codes[i], kind, n_bits) > limit)


@njit(nogil=True, cache=CACHED, inline="always")
def find_places(
    codes: Codes, first: np.uint64, n: np.uint64, places: NDArray[np.uint8], at: np.uint64
) -> None:
    """Writes the signed bins of the n activations from the first to `places` from `at` on."""
    kind, n_bits = codes.dtype.type, n_bits_of(codes.dtype.type)
    for i in range(n):
        places[at + i] = _place(codes[first + i], kind, n_bits)


@compiled_inner
def count_places(
    counts: NDArray[np.uint16], places: NDArray[np.uint8], n_rows: int, unit: int
) -> None:
    """Counts the first rows of places of the units from `unit` on."""
    n, flat = np.uint64(places.shape[1]), places.reshape(-1)
    for part in range(0, places.shape[1], PART):
        first, end = np.uint64(part), np.uint64(min(part + PART, places.shape[1]))
        for row in range(n_rows):
            at, place = np.uint64(row) * n, (np.uint64(unit) + first) * _N_BINS
            for i in range(first, end):
                counts[place + np.uint64(flat[at + i])] += _ONE
                place += _N_BINS


@compiled_inner
def add_sparse(
    counts: NDArray[np.uint16], block: Block, window: ReadWindow, threshold: np.float32
) -> None:
    """The same for units that are mostly zero: only what is not is looked at."""
    n, kind, n_bits = len(block.sums), window.codes.dtype.type, n_bits_of(window.codes.dtype.type)
    limit = kind(code_of(threshold) >> np.int32(32 - n_bits))
    high, low = block.high[window.row], block.low[window.row]
    first, magnitude = np.uint64(window.unit), kind((1 << (n_bits - 1)) - 1)
    seen, found = np.zeros(n, np.int64), np.empty(PART + 1, np.int64)
    for position in range(window.length):
        start = position * window.pos_stride
        for part in range(0, n, PART):
            codes = window.codes[start + part : start + min(part + PART, n)]
            if _all_zero(codes):
                continue
            n_found = np.int64(0)
            for i in range(len(codes)):
                # Written always and counted where it is one: no branch to guess wrong.
                found[n_found] = i
                n_found += np.int64(kind(codes[i] & magnitude) != kind(0))
            for place in found[:n_found]:
                code, i = codes[place], part + place
                exact = np.float64(value_of(code, n_bits))
                block.sums[i] += exact
                block.squares[i] += exact * exact
                ordered = in_order(code, kind, n_bits)
                high[i], low[i] = max(high[i], ordered), min(low[i], ordered)
                block.above[i] += kind(code > limit)
                block.below[i] += kind(_opposite(code, kind, n_bits) > limit)
                bin_ = np.uint64(_place(code, kind, n_bits))
                counts[(first + np.uint64(i)) * _N_BINS + bin_] += _ONE
                seen[i] += 1
    for i in range(n):
        n_zero = window.length - seen[i]
        if n_zero:
            counts[(first + np.uint64(i)) * _N_BINS + _ZERO] += np.uint16(n_zero)
            high[i], low[i] = max(high[i], kind(0)), min(low[i], kind(0))


@compiled_inner
def _all_zero(codes: Codes) -> bool:
    kind, n_bits = codes.dtype.type, n_bits_of(codes.dtype.type)
    seen = kind(0)
    for i in range(len(codes)):
        # Cut back at once, or every vector operation would be a wider one.
        seen = kind(seen | kind(codes[i] & kind((1 << (n_bits - 1)) - 1)))
    return bool(seen == kind(0))
