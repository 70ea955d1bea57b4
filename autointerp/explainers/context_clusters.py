"""Clusters of the places at which a unit is active, and what an LLM is shown of each."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, InputContexts, to_levels
from autointerp.core.text import quoted
from autointerp.core.token_bars import marked
from autointerp.explainers.excerpts import Extent
from autointerp.explainers.sense_inputs import excerpt_around
from autointerp.statistics.clustering import cluster_places

_MOST_SHOWN, _EXCERPTS = 6, 36
"""Excerpts of one cluster at most, and of all together."""
_ALSO, _MOST_ALSO = 2, 4
"""Level from which other tokens of an excerpt are named, and how many of them."""


@dataclass(frozen=True, slots=True)
class ActivePlace:
    """A token at which the side is active."""

    record: ActivationRecord
    token: int
    """0-based place in the record."""
    activation: float
    """Of the side, model units."""

    @property
    def mass(self) -> float:
        """Activation over all explain text that it stands for."""
        return self.activation * self.record.weight


@dataclass(frozen=True, slots=True)
class ContextCluster:
    """Places at which the unit reads alike."""

    places: tuple[ActivePlace, ...]
    """Strongest first."""
    share: float
    """Of the activation that all clusters stand for."""

    @property
    def usual(self) -> float:
        """Median activation, each place by the windows that it stands for."""
        half, so_far = sum(place.record.weight for place in self.places) / 2, 0.0
        for place in self.places:
            so_far += place.record.weight
            if so_far >= half:
                return place.activation
        return 0.0

    def shown(self, n: int) -> tuple[ActivePlace, ...]:
        """The strongest, then evenly spread over the others, of different windows if possible."""
        strongest: dict[int, ActivePlace] = {}
        for place in self.places:
            strongest.setdefault(place.record.window, place)
        first = list(strongest.values())
        rest = [place for place in self.places if place not in first]
        ranked = first if len(first) >= n else [*first, *rest][:n]
        chosen = [ranked[i * len(ranked) // n] for i in range(n)]
        return tuple(sorted(dict.fromkeys(chosen), key=lambda place: -place.activation))


def most_clusters(n_senses: int) -> int:
    """How many clusters are shown: of one sense there may be several, which get one name."""
    return min(2 * n_senses, len(ascii_uppercase))


def context_clusters(
    contexts: InputContexts, side: Side, *, most: int
) -> tuple[ContextCluster, ...]:
    """Clusters of at least two windows, those that carry most activation first.

    Raises:
        InputError: a vector is not finite.
    """
    places = []
    for number, token in contexts.places:
        record = contexts.records[number]
        places.append(ActivePlace(record, token, record.side(side)[token]))
    sorted_places = [
        sorted((places[i] for i in own), key=lambda place: -place.activation)
        for own in cluster_places(vectors_of(contexts), most=most)
        if len({contexts.places[i][0] for i in own}) > 1
    ]
    masses = [sum(place.mass for place in own) for own in sorted_places]
    total = sum(masses) or 1.0
    clusters = [
        ContextCluster(tuple(own), m / total) for own, m in zip(sorted_places, masses, strict=True)
    ]
    return tuple(sorted(clusters, key=lambda cluster: -cluster.share))


def vectors_of(contexts: InputContexts) -> NDArray[np.float16]:
    """The vectors of the places, one row each."""
    flat = np.frombuffer(base64.b64decode(contexts.vectors), dtype="<f2")
    return flat.reshape(len(contexts.places), -1) if len(flat) else np.zeros((0, 0), np.float16)


def excerpts_each(clusters: Sequence[ContextCluster]) -> int:
    """How many excerpts of a cluster are shown."""
    return max(2, min(_MOST_SHOWN, _EXCERPTS // max(1, len(clusters))))


def render_clusters(
    clusters: Sequence[ContextCluster], side: Side, peak: float, extent: Extent
) -> str:
    """The clusters as A, B ..., each with its share, its usual level and excerpts."""
    blocks = []
    for number, cluster in enumerate(clusters):
        percent = f"{max(1, round(100 * cluster.share))} %"
        level = max(1, *to_levels([cluster.usual], peak=peak))
        head = f"Cluster {ascii_uppercase[number]}: {percent} of its activity, usual level {level}"
        rows = [
            f"{row}: {_render(place, side, peak, extent)}"
            for row, place in enumerate(cluster.shown(extent.n_records), 1)
        ]
        blocks.append("\n".join([head, *rows]))
    return "\n\n".join(blocks)


def _render(place: ActivePlace, side: Side, peak: float, extent: Extent) -> str:
    cut = excerpt_around(place.record, place.record.side(side), place.token, extent)
    level = max(1, *to_levels([cut.values[cut.place]], peak=peak))
    text = marked(cut.tokens, [level * (i == cut.place) for i in range(len(cut.tokens))])
    levels = to_levels(cut.values, peak=peak)
    others = [i for i, own in enumerate(levels) if i != cut.place and own >= _ALSO]
    others = sorted(sorted(others, key=lambda i: -levels[i])[:_MOST_ALSO])
    also = ", ".join(f"{quoted(cut.tokens[i])} {levels[i]}" for i in others)
    line = f"\nAlso active: {also}" if also else ""
    return f'"{cut.before}{text[1:-1]}{cut.behind}"{line}'
