"""Bootstrap intervals over windows within strata.

Windows are resampled, never tokens: the tokens of one window are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum

__all__ = [
    "Floats",
    "Group",
    "Resampling",
    "Statistic",
    "named_groups",
    "open_groups",
    "replicate",
    "sampled_groups",
    "without_singles",
]

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Sums over windows, shape (..., n_columns), to values, shape (...)."""

_CHUNK = 2_000_000


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
            msg = (
                "an interval needs at least 2 resamples and a confidence between 0 and 1, "
                f"found {self.n_bootstrap} and {self.confidence}"
            )
            raise InputError(msg)


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
    groups = [
        Group(tuple(i for i, name in enumerate(names) if name == stratum.name), stratum.n_windows)
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
    n_windows = sum(len(group.members) for group in groups)
    rng = np.random.default_rng(resampling.seed)
    step = max(1, _CHUNK // max(1, n_windows))
    sizes = [min(step, resampling.n_bootstrap - i) for i in range(0, resampling.n_bootstrap, step)]
    return np.concatenate([estimate(_counts(groups, size, n_windows, rng)) for size in sizes])


def _check_strata(names: Sequence[str], strata: Sequence[Stratum]) -> None:
    known = {stratum.name: stratum for stratum in strata}
    if len(known) < len(strata):
        msg = f"strata need different names, found {[stratum.name for stratum in strata]}"
        raise InputError(msg)
    for name in sorted(set(names)):
        if name not in known:
            msg = f"a window is of stratum {name!r}, but the strata are {sorted(known)}"
            raise InputError(msg)
        if names.count(name) > known[name].n_windows:
            msg = (
                f"{names.count(name)} windows of stratum {name!r} were judged, "
                f"but it holds {known[name].n_windows}; each window may be judged once"
            )
            raise InputError(msg)


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


def _counts(groups: Sequence[Group], size: int, n_windows: int, rng: np.random.Generator) -> Floats:
    counts = np.ones((size, n_windows))
    for group in open_groups(groups):
        n = len(group.members)
        if n < 2:
            continue
        drawn = rng.multinomial(n - 1, np.full(n, 1.0 / n), size=size)
        share = math.sqrt(group.unseen)
        counts[:, list(group.members)] = 1.0 - share + share * drawn * (n / (n - 1))
    return counts
