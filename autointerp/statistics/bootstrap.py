"""Bootstrap intervals over windows within strata.

Windows are resampled, never tokens: the tokens of one window are not independent.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.identity_cache import KeptResults, cached_by_identity
from autointerp.core.records import Stratum
from autointerp.statistics.scored_windows import Floats

Statistic = Callable[[Floats], Floats]
"""Sums over windows, shape (..., n_columns), to values, shape (...)."""

# Numbers of resamples that are made at once, and that are kept for the next score.
_CHUNK = 500_000
_MOST_CACHED = 200_000


@dataclass(frozen=True, slots=True)
class Resampling:
    """How an interval is made."""

    n_bootstrap: int = 1000
    """Resamples."""
    confidence: float = 0.95
    """Share of intervals that shall hold the truth, 0..1."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_bootstrap < 2 or not 0 < self.confidence < 1:
            raise InputError(
                "an interval needs at least 2 resamples and a confidence between 0 and 1, "
                f"found {self.n_bootstrap} and {self.confidence}"
            )


@dataclass(frozen=True, slots=True)
class Group:
    """Windows that are exchangeable, drawn without replacement from ``n_total``."""

    members: tuple[int, ...]
    """0-based positions of the judged windows."""
    n_total: float
    """Windows that they stand for; infinite where windows come from endless text."""

    @property
    def unseen(self) -> float:
        """Share of the group that was not judged, 0 for a census."""
        return 1.0 - len(self.members) / self.n_total


def named_groups(names: Sequence[str]) -> tuple[Group, ...]:
    """One group a name, drawn from endless text, names ascending."""
    return tuple(
        Group(tuple(i for i, other in enumerate(names) if other == name), math.inf)
        for name in sorted(set(names))
    )


def sampled_groups(names: Sequence[str], strata: Sequence[Stratum]) -> tuple[Group, ...]:
    """The strata, weakest first, each with its judged windows, at least one.

    A stratum of which no window was judged is merged with a neighbour in order of peak, the one
    that holds fewer windows: that changes the other weights least.

    Raises:
        InputError: a window of no stratum, a stratum twice, more windows than a stratum holds.
    """
    _check_strata(names, strata)
    ordered = sorted(strata, key=lambda s: (s.low, s.high, s.name))
    members: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        members.setdefault(name, []).append(i)
    groups = [
        Group(tuple(members.get(stratum.name, ())), stratum.n_windows)
        for stratum in ordered
        if stratum.n_windows > 0
    ]
    return _merge(groups, lambda group: not group.members)


def without_singles(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The same windows in groups of two or more, except where a group was judged whole.

    One window says nothing of the variance in its stratum, so it is merged with a neighbour,
    which overstates the variance rather than leaving it out.
    """
    return _merge(groups, lambda group: len(group.members) == 1 and group.unseen > 0)


def open_groups(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups that were not judged whole, and so contribute variance."""
    return tuple(group for group in groups if group.unseen > 0)


def replicate(
    groups: Sequence[Group], estimate: Callable[[Floats], Floats], resampling: Resampling
) -> Floats:
    """What ``estimate`` gives for each resample, shape (n_bootstrap, ...).

    Rao and Wu's rescaled bootstrap: of n windows of a group n - 1 are drawn with replacement, and
    a window drawn t times counts ``1 - k + k * t * n / (n - 1)`` times, ``k = sqrt(1 - n / N)``.
    That has the variance of a draw of n out of N without replacement, for n = 2 too.

    Args:
        groups: they hold every window once.
        estimate: takes how often each window counts, shape (n_resamples, n_windows).
        resampling: how many and from which seed.
    """
    parts = [estimate(counts) for counts in resamples(groups, resampling)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def resamples(groups: Sequence[Group], resampling: Resampling) -> Iterator[Floats]:
    """How often each window counts in each resample, as for `replicate`, some at a time."""
    n_windows = sum(len(group.members) for group in groups)
    n, seed = resampling.n_bootstrap, resampling.seed
    if n * n_windows <= _MOST_CACHED:
        yield _cached_counts(tuple(groups), n, n_windows, seed)
        return
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // max(1, n_windows))
    for first in range(0, n, step):
        yield _counts(groups, min(step, n - first), n_windows, rng.random)


def _check_strata(names: Sequence[str], strata: Sequence[Stratum]) -> None:
    known = {stratum.name: stratum for stratum in strata}
    if len(known) < len(strata):
        msg = f"strata need different names, found {[stratum.name for stratum in strata]}"
        raise InputError(msg)
    counts = Counter(names)
    for name in sorted(counts):
        if name not in known:
            raise InputError(f"a window is of stratum {name!r}, but the strata are {sorted(known)}")
        if counts[name] > known[name].n_windows:
            raise InputError(
                f"{counts[name]} windows of stratum {name!r} were judged, "
                f"but it holds {known[name].n_windows}; each window may be judged once"
            )


def _merge(groups: Sequence[Group], needy: Callable[[Group], bool]) -> tuple[Group, ...]:
    merged = list(groups)
    while len(merged) > 1:
        here = next((i for i, group in enumerate(merged) if needy(group)), None)
        if here is None:
            break
        beside = [i for i in (here - 1, here + 1) if 0 <= i < len(merged)]
        other = min(beside, key=lambda i: merged[i].n_total)
        first, second = sorted((here, other))
        merged[first : second + 1] = [
            Group(
                merged[first].members + merged[second].members,
                merged[first].n_total + merged[second].n_total,
            )
        ]
    return tuple(merged)


# The scores of one set of windows are resampled alike, one after another.
@cached_by_identity(32)
def _cached_counts(groups: tuple[Group, ...], size: int, n_windows: int, seed: int) -> Floats:
    counts = _counts(groups, size, n_windows, partial(_first_drawn, seed))
    counts.flags.writeable = False
    return counts


_DRAWN = KeptResults[int, Floats](1)


def _first_drawn(seed: int, n: int) -> Floats:
    """The first n numbers from 0 to 1 of the seed; those that were drawn last are kept.

    Parts of a set of windows are resampled from the same seed.
    """
    known = _DRAWN.known(seed)
    if known is None or len(known) < n:
        known = np.random.default_rng(seed).random(n)
        _DRAWN.keep(known, seed)
    return known[:n]


def _counts(
    groups: Sequence[Group], size: int, n_windows: int, draw: Callable[[int], Floats]
) -> Floats:
    """How often each window counts in each resample, shape (size, n_windows)."""
    from autointerp.statistics.compiled.resampled_windows import window_counts  # noqa: PLC0415

    drawn_from = [g for g in open_groups(groups) if len(g.members) > 1]
    if not drawn_from:
        return np.ones((size, n_windows))
    ns = np.array([len(group.members) for group in drawn_from])
    members = np.concatenate([group.members for group in drawn_from])
    steps, bases = np.zeros(n_windows), np.ones(n_windows)
    share = np.sqrt([group.unseen for group in drawn_from])
    steps[members] = np.repeat(share * ns / (ns - 1), ns)
    bases[members] = np.repeat(1.0 - share, ns)
    # All draws of one resample side by side: n - 1 places of each group among its n members.
    shares = draw(size * int((ns - 1).sum())).reshape(size, -1)
    return np.asarray(window_counts(shares, ns, members, steps, bases))
