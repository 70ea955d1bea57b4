"""The numbers that `numpy.random.default_rng` draws, drawn within compiled loops.

numpy's generator is PCG64: a product of 128 bits a step, and 64 bits of output (O'Neill 2014).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.statistics.compiled.compilation import CACHED

State = NDArray[np.uint64]
"""Upper and lower half of the state and of the increment, shape (4,)."""
Halves = NDArray[np.uint32]
"""Halves of the numbers drawn, in the order in which numpy uses them: the lower half first."""

_UPPER, _LOWER = np.uint64(0x2360ED051FC65DA4), np.uint64(0x4385DF649FCCF645)
_HALF, _OUTPUT_BITS, _ALL_BITS = np.uint64(32), np.uint64(58), np.uint64(63)
_NONE, _ONE, _LOW_BITS = np.uint64(0), np.uint64(1), np.uint64(0xFFFFFFFF)


def drawing_state(seed: int | list[int]) -> State:
    """The state of a generator of that seed which has drawn nothing."""
    known: Any = np.random.default_rng(seed).bit_generator.state
    mask = (1 << 64) - 1
    numbers = [known["state"]["state"], known["state"]["inc"]]
    return np.array([part for n in numbers for part in (n >> 64, n & mask)], np.uint64)


@njit(nogil=True, cache=CACHED)
def _upper_product(a: np.uint64, b: np.uint64) -> np.uint64:
    """The upper 64 bits of the product of two numbers of 64."""
    upper_a, lower_a, upper_b, lower_b = a >> _HALF, a & _LOW_BITS, b >> _HALF, b & _LOW_BITS
    first = upper_a * lower_b + (lower_a * lower_b >> _HALF)
    second = lower_a * upper_b + (first & _LOW_BITS)
    return np.uint64(upper_a * upper_b + (first >> _HALF) + (second >> _HALF))


@njit(nogil=True, cache=CACHED)
def draw_bits(state: State, bits: NDArray[np.uint64]) -> None:
    """Fills it with the next random bits, 64 a number."""
    upper, lower, step_upper, step_lower = state[0], state[1], state[2], state[3]
    for place in range(len(bits)):
        new = lower * _LOWER + step_lower
        carry = _ONE if new < step_lower else _NONE
        upper = _upper_product(lower, _LOWER) + upper * _LOWER + lower * _UPPER + step_upper + carry
        lower = new
        both, turn = upper ^ lower, upper >> _OUTPUT_BITS
        bits[place] = (both >> turn) | (both << ((_NONE - turn) & _ALL_BITS))
    state[0], state[1] = upper, lower


@njit(nogil=True, cache=CACHED)
def draw_halves(state: State, n: int) -> Halves:
    """The next random bits, 32 a number, for an even n."""
    bits = np.empty(n // 2, np.uint64)
    draw_bits(state, bits)
    return bits.view(np.uint32)


@njit(nogil=True, cache=CACHED)
def more_halves(halves: Halves, state: State, n: int) -> Halves:
    """What is left, then as many more."""
    result, more = np.empty(len(halves) + n, np.uint32), draw_halves(state, n)
    for i in range(len(halves)):
        result[i] = halves[i]
    for i in range(n):
        result[len(halves) + i] = more[i]
    return result


@njit(nogil=True, cache=CACHED)
def shuffle(values: NDArray[np.int32], halves: Halves) -> int:
    """Brings them into a random order, as `Generator.permuted` does; how many bits that took.

    There must be enough of them: -1 where there are not.
    """
    last, taken, mask = len(values) - 1, 0, 1
    while mask < last:
        mask = 2 * mask + 1
    while last > 0:
        if taken == len(halves):
            return -1
        # What is too large is drawn again. That is as probable as not, so there is no branch.
        other = int(halves[taken]) & mask
        taken += 1
        fits = other <= last
        other = other if fits else last
        values[last], values[other] = values[other], values[last]
        last -= int(fits)
        mask = mask >> 1 if last <= mask >> 1 else mask
    return taken


@njit(nogil=True, cache=CACHED)
def draw_below(n: int, numbers: NDArray[np.int32], halves: Halves) -> int:
    """Fills it with numbers from 0 to below n, as `Generator.integers` does; as `shuffle`."""
    if n == 1:
        numbers[:] = 0
        return 0
    whole, taken = np.uint64(n), 0
    # Lemire 2019: what would make some numbers more probable is drawn again.
    least = (_ONE << _HALF) % whole
    for place in range(len(numbers)):
        while True:
            if taken == len(halves):
                return -1
            product = np.uint64(halves[taken]) * whole
            taken += 1
            if product & _LOW_BITS >= least:
                break
        numbers[place] = product >> _HALF
    return taken
