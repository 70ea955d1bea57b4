"""The k units out of some candidates whose probe has the least loss, with a proof that it is.

Every subset has a lower bound of its loss. A probe on one subset bounds all others as well
(Fenchel's dual, see `compiled.subset_probes`), so that most are never solved: outer approximation
(Duran and Grossmann 1986; Bertsimas, Pauphilet and Van Parys 2021 for sparse classification), over
subsets that are listed instead of an integer program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.core.processors import n_processors
from autointerp.statistics.probing.logistic import RIDGE, Design
from autointerp.statistics.scored_windows import Floats

TOLERANCE = 1e-6
"""Nats by which the loss found may be above the least one where the search has a certificate."""
MOST_SUBSETS = 3_000_000
"""Subsets that fit in memory with their bounds: about 400 MB."""

# Subsets that are solved together, and by one thread at least.
_BATCH, _LEAST_EACH = 256, 32
# A solved subset costs about as much as raising so many bounds.
_RAISED_PER_SOLVED = 50_000
_LEAST_SHARE = 1 / _BATCH

Subsets = NDArray[np.int64]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class ExactSearch:
    """The best subset that was found, and how sure it is the best one."""

    units: tuple[int, ...]
    """0-based columns of the examples, ascending."""
    loss: float
    """Mean logistic loss of its probe, nats, the ridge's part included."""
    bound: float
    """No subset of as many candidates has a lower loss than this."""
    n_candidates: int
    n_subsets: int
    """All of that many candidates."""
    n_solved: int
    """Subsets that a probe was fitted on; the bound of all others follows from these."""
    seconds: float
    """Time that the search took."""

    @property
    def gap(self) -> float:
        """By how much the loss may be above the least one, nats."""
        return max(0.0, self.loss - self.bound)

    @property
    def certified(self) -> bool:
        """Whether no other subset is better by more than `TOLERANCE`."""
        return self.gap <= TOLERANCE


def search_exactly(  # noqa: PLR0913 - what is searched, and how long
    design: Design,
    candidates: Sequence[int],
    k: int,
    *,
    ridge: float = RIDGE,
    time_limit_s: float = 60.0,
    clock: Clock = time.monotonic,
) -> ExactSearch:
    """The k of the candidates whose probe has the least loss, certified unless time runs out.

    Args:
        design: the examples.
        candidates: 0-based units, best first: the search begins with the first k.
        k: at least 1.
        ridge: of the probes.
        time_limit_s: after that the best subset so far comes back, with its bound.
        clock: seconds, from any moment on.

    Raises:
        InputError: fewer than k candidates, or more than `MOST_SUBSETS` subsets.
    """
    if not 1 <= k <= len(candidates):
        raise InputError(f"asked for {k} of {len(candidates)} candidates: give a k of 1 to that")
    if comb(len(candidates), k) > MOST_SUBSETS:
        raise InputError(
            f"{k} of {len(candidates)} candidates are {comb(len(candidates), k):,} subsets, over "
            f"{MOST_SUBSETS:,} that an exact search can take: give fewer candidates or a lower k"
        )
    begun, n_threads = clock(), n_processors()
    with ThreadPoolExecutor(n_threads) as pool:
        given = np.asarray(candidates, np.int64)
        search = _SubsetSearch(design, given, k, ridge, _Threads(n_threads, pool.map))
        while clock() - begun < time_limit_s and search.improve():
            pass
        seen = False
        while search.open.size and (not seen or clock() - begun < time_limit_s):
            search.solve_some()
            seen = True
    units = tuple(sorted(int(candidates[place - 1]) for place in search.best[1:]))
    return ExactSearch(
        units,
        search.loss,
        min(search.loss, max(0.0, float(search.bounds.min()))),
        len(candidates),
        len(search.subsets),
        search.n_solved,
        clock() - begun,
    )


class _Threads(NamedTuple):
    """What subsets are solved by; the result does not depend on how many there are."""

    n: int
    map: Callable[..., Iterator[Any]]


class _SubsetSearch:
    """All subsets, their bounds, and the best one so far. Column 0 is the intercept's."""

    def __init__(
        self, design: Design, candidates: Subsets, k: int, ridge: float, threads: _Threads
    ) -> None:
        self._threads = threads
        self._rows = design.rows[np.concatenate([[0], candidates + 1])]
        self._weights, self._ridge = design.weights, ridge
        n = len(candidates)
        listed = np.fromiter(combinations(range(1, n + 1), k), np.dtype((np.int64, k)))
        self.subsets = np.concatenate([np.zeros((len(listed), 1), np.int64), listed], axis=1)
        self._runs, self._prefixes, self._run_of = _runs(self.subsets)
        self.bounds = np.full(len(listed), -np.inf)
        self.n_solved = 0
        self.loss = np.inf
        self._share = 1.0
        # The first step from weights of 0 needs no pass over the examples.
        self._pull = self._rows @ (self._weights / 2)
        self._bend = (self._rows * (self._weights / 4)) @ self._rows.T
        self._bend.flat[:: n + 2] += ridge
        self.best = self.subsets[0]
        self._take(self.subsets[:1])

    @property
    def open(self) -> NDArray[np.intp]:
        """Places of subsets that may still be better than the best one by the tolerance."""
        return np.flatnonzero(self.bounds < self.loss - TOLERANCE)

    def improve(self) -> bool:
        """Tries every exchange of one column of the best subset; whether one was better."""
        n, own = len(self._rows), set(self.best.tolist())
        others = [j for j in range(1, n) if j not in own]
        swapped = [
            [j if old == gone else old for old in self.best]
            for gone in self.best[1:]
            for j in others
        ]
        return bool(swapped) and self._take(np.sort(np.array(swapped, np.int64), axis=1))

    def solve_some(self) -> None:
        """Solves the open subsets with the lowest bounds, and raises the bounds of others."""
        places = self.open
        n = min(len(places), _BATCH)
        chosen = places[np.argpartition(self.bounds[places], n - 1)[:n]]
        self._take(self.subsets[chosen], chosen)

    def _take(self, subsets: Subsets, places: NDArray[np.intp] | None = None) -> bool:
        """Solves subsets and takes the best of them if it is better than the best one so far."""
        from autointerp.statistics.compiled.subset_probes import solve_subsets  # noqa: PLC0415

        enough = np.inf if places is None else self.loss - TOLERANCE / 2
        limits = self._ridge, enough, TOLERANCE / 2
        starts = self._starts(subsets)
        n_parts = max(1, min(self._threads.n, len(subsets) // _LEAST_EACH))
        parts = zip(np.array_split(subsets, n_parts), np.array_split(starts, n_parts), strict=True)
        solved = self._threads.map(
            lambda part: solve_subsets(self._rows, self._weights, part[0], part[1], limits), parts
        )
        losses, bounds, _, duals = (np.concatenate(each) for each in zip(*solved, strict=True))
        self.n_solved += len(subsets)
        if places is not None:
            self.bounds[places] = np.maximum(self.bounds[places], bounds)
        found = int(losses.argmin())
        better = bool(losses[found] < self.loss - TOLERANCE / 10)
        if losses[found] < self.loss:
            self.loss, self.best = float(losses[found]), subsets[found]
        self._raise(subsets, bounds, duals, all_of_them=places is None)
        return better

    def _starts(self, subsets: Subsets) -> Floats:
        bends = self._bend[subsets[:, :, None], subsets[:, None, :]]
        return np.asarray(np.linalg.solve(bends, self._pull[subsets][..., None])[..., 0])

    def _raise(self, subsets: Subsets, bounds: Floats, duals: Floats, *, all_of_them: bool) -> None:
        """Raises bounds to what the solved subsets say, as many as it pays for."""
        from autointerp.statistics.compiled.subset_probes import raise_bounds  # noqa: PLC0415

        places = self.open
        if not len(places):
            return
        n = len(subsets) if all_of_them else max(1, int(self._share * len(subsets)))
        columns = (duals[:n] * self._weights) @ self._rows.T
        costs = columns**2 / (2 * self._ridge)
        constants = bounds[:n] + np.take_along_axis(costs, subsets[:n], axis=1).sum(axis=1)
        # They ascend, as the places do.
        runs = self._run_of[places]
        runs = runs[np.diff(runs, prepend=-1) > 0]
        raise_bounds(self.bounds, self._runs[runs], self._prefixes[runs], constants, costs)
        closed, raised = len(places) - len(self.open), n * int(self._runs[runs, 1].sum())
        pays = closed * _RAISED_PER_SOLVED > raised
        self._share = min(1.0, 2 * self._share) if pays else max(_LEAST_SHARE, self._share / 2)


def _runs(subsets: Subsets) -> tuple[Subsets, Subsets, NDArray[np.intp]]:
    """Runs of subsets that differ in the last column only, as `raise_bounds` takes them.

    Also the columns before the last of each run, and the run of each subset.
    """
    prefixes = subsets[:, :-1]
    begins = np.concatenate([[True], (prefixes[1:] != prefixes[:-1]).any(axis=1)])
    first = np.flatnonzero(begins)
    sizes = np.diff(np.concatenate([first, [len(subsets)]]))
    runs = np.stack([first, sizes, subsets[first, -1]], axis=1).astype(np.int64)
    return runs, np.ascontiguousarray(prefixes[first]), np.cumsum(begins) - 1
