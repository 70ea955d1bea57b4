"""Judged windows as a sample of all windows of a split: what each stands for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from autointerp.core.records import Stratum
from autointerp.scorers.bootstrap import Group, sampled_groups
from autointerp.scorers.windows import ScoredWindow, ScoredWindows

# A weight that says that the window was certain to be drawn, up to rounding.
_CERTAIN = 1 + 1e-6
# Windows of one group at least, where groups are made of neighbours in a draw.
_A_GROUP = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """Judged windows in an order that does not depend on the caller's."""

    windows: ScoredWindows
    groups: tuple[Group, ...]
    weights: list[float]
    """Windows of the population that each stands for."""

    @classmethod
    def of(
        cls, windows: Sequence[ScoredWindow], strata: Sequence[Stratum], *, ordered: bool = False
    ) -> Sample:
        """The sample; `ordered` where the windows are in such an order."""
        kept = ScoredWindows.of(windows)
        kept = kept if ordered else kept.in_order()
        return cls(kept, *population_groups(kept, strata))


def population_weights(windows: Sequence[ScoredWindow], strata: Sequence[Stratum]) -> list[float]:
    """How many windows of the split each judged one stands for, in the order given.

    The judged windows of a stratum share all its windows among them, in proportion to their own
    weights, so that failed trials bias nothing. A stratum without any is merged with a neighbour.
    """
    return population_groups(windows, strata)[1]


def population_groups(
    windows: Sequence[ScoredWindow], strata: Sequence[Stratum]
) -> tuple[tuple[Group, ...], list[float]]:
    """Groups within which windows are resampled, and how many windows each stands for.

    Where windows were drawn from each stratum by itself, the strata are the groups, and share
    their windows among those judged. Where they were drawn from all at once, weights count as
    they are, times what makes up for failed trials of the stratum; windows that were certain to
    be drawn are one group, the others are grouped by weight, as neighbours in that order were
    drawn one instead of another.
    """
    given = ScoredWindows.of(windows)
    groups, weights = _kept_groups(given.strata, given.weights, tuple(strata))
    return groups, list(weights)


# Several predictions are scored on the same windows, each by several scores.
@lru_cache(maxsize=64)
def _kept_groups(
    names: tuple[str, ...], given: tuple[float, ...], strata: tuple[Stratum, ...]
) -> tuple[tuple[Group, ...], tuple[float, ...]]:
    groups = sampled_groups(names, strata)
    if not all(stratum.joint for stratum in strata):
        return groups, tuple(_shares(given, groups))
    weights = _as_drawn(names, given, strata)
    return _by_weight(given, weights), tuple(weights)


def _as_drawn(
    names: Sequence[str], given: Sequence[float], strata: Sequence[Stratum]
) -> list[float]:
    drawn = [replace(stratum, n_windows=stratum.n_sampled) for stratum in strata]
    weights = list(given)
    for group in sampled_groups(names, drawn):
        for i in group.members:
            weights[i] *= group.n_total / len(group.members)
    return weights


def _by_weight(given: Sequence[float], weights: Sequence[float]) -> tuple[Group, ...]:
    certain = tuple(i for i, weight in enumerate(given) if weight <= _CERTAIN)
    others = sorted(set(range(len(given))) - set(certain), key=lambda i: (given[i], i))
    n_groups = max(1, len(others) // _A_GROUP)
    cuts = [len(others) * k // n_groups for k in range(n_groups + 1)]
    parts = [certain, *(tuple(others[a:b]) for a, b in itertools.pairwise(cuts))]
    return tuple(
        Group(part, max(len(part), math.fsum(weights[i] for i in part))) for part in parts if part
    )


def _shares(given: Sequence[float], groups: Sequence[Group]) -> list[float]:
    weights = [0.0] * len(given)
    for group in groups:
        total = math.fsum(given[i] for i in group.members)
        for i in group.members:
            weights[i] = group.n_total * (given[i] / total)
    return weights
