"""Activations as records and levels, the three sets of records, and what was counted of a unit."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from autointerp.core import later_fields
from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.one_line import brief_repr

MAX_LEVEL = 10

V = TypeVar("V", int, float)


def rectify(activations: Sequence[float], side: Side) -> tuple[float, ...]:
    """``max(0, sign * a)`` for each activation: what a side's exemplars and levels use."""
    if side is Side.POSITIVE:
        return tuple([a if a > 0.0 else 0.0 for a in activations])
    return tuple([-a if a < 0.0 else 0.0 for a in activations])


def to_levels(activations: Sequence[float], *, peak: float) -> tuple[int, ...]:
    """Integer levels 0..10 shown in prompts, rounded down; negatives are level 0.

    Everything below a tenth of the peak shows as 0, which a reader should know.

    Args:
        activations: one side of one unit, shape (n_ctx,), model units.
        peak: largest activation over the *explain set*, above 0. Never taken from held-out
            records: that would leak their range.

    Raises:
        InputError: when the peak is not a positive finite number.

    Source: Bills et al. 2023, which rounds down; other tools round up, so levels do not
    compare across tools.
    """
    if not (math.isfinite(peak) and peak > 0):
        msg = f"levels need a positive finite peak, found {peak!r}; the unit is dead on this side"
        raise InputError(msg)
    # Dividing first keeps the peak of the smallest subnormal from overflowing the product.
    return tuple(
        min(MAX_LEVEL, math.floor(MAX_LEVEL * min(1.0, max(a, 0.0) / peak))) for a in activations
    )


@dataclass(frozen=True, slots=True)
class ActivationRecord:
    """One window's tokens and one unit's activations on them, with how it was chosen."""

    window: int
    """Id of the window in its corpus."""
    document: str
    """Id of the document."""
    offset: int
    """0-based position of the first token in the document."""
    token_ids: tuple[int, ...]
    """Vocabulary ids, shape (n_tokens,)."""
    tokens: tuple[str, ...]
    """The same tokens as text, shape (n_tokens,)."""
    activations: tuple[float, ...]
    """Raw activations of the unit, shape (n_tokens,), model units, either sign."""
    stratum: str
    """Why the window is here: ``top``, ``band0`` (the weakest) and up, or ``silent``; of windows
    that are only shown also ``random`` and ``other``, the strongest of the other side."""
    weight: float
    """How many windows of its split it stands for: one over its inclusion probability."""
    influence: float = 1.0
    """How much the window can move a score, as far as that was known before it was read, in
    units that only compare within a unit; windows of a scored set are drawn in proportion."""
    source: Annotated[str, later_fields.LATER] = ""
    """Where the document came from, for people: a title, a path; empty in records of before it."""

    __repr__ = brief_repr

    def side(self, side: Side) -> tuple[float, ...]:
        """The activations of one side, ``max(0, sign * a)``."""
        return rectify(self.activations, side)

    def peak(self, side: Side) -> float:
        """The largest activation of one side, 0 where the side never activates."""
        if side is Side.POSITIVE:
            return max(0.0, max(self.activations, default=0.0))
        return max(0.0, -min(self.activations, default=0.0))


@dataclass(frozen=True, slots=True)
class Stratum:
    """A part of a split's windows from which some were drawn."""

    name: str
    """``top``, ``band0`` and up, ``silent``."""
    n_windows: int
    """How many windows of the split belong to it, counted exactly."""
    n_sampled: int
    """How many of them were drawn."""
    low: float
    """Smallest window peak in it, model units of the side; 0 for ``silent``."""
    high: float
    """Upper bound of the window peaks in it."""
    joint: bool = False
    """Windows were drawn from all strata at once, each with a probability of its own: their
    weights count as they are, and not only within the stratum."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class InputContexts:
    """Places at which one side of a unit is active, and what the unit reads at each."""

    records: tuple[ActivationRecord, ...]
    """The top windows and a uniform sample of the other activating ones, with their weights."""
    places: tuple[tuple[int, int], ...]
    """(record, token), both 0-based: up to three different tokens of each record that are active
    from level 1 on, the strongest first."""
    vectors: str
    """What the unit reads at each place less the mean over all tokens of the records, at length 1:
    little-endian float16 in base64, shape (n_places, width)."""
    hook: str
    """Hook point at which that was read."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class ExplainSet:
    """What an explainer reads: exemplars of one side of one unit, from explain documents."""

    unit: UnitId
    side: Side
    records: tuple[ActivationRecord, ...]
    """Strongest first; activating ones before silent ones."""
    peak: float
    """Largest activation of the side over all explain windows, above 0."""
    contexts: Annotated[InputContexts | None, later_fields.LATER] = None
    """Where an explainer asks for them."""
    ranks: Annotated[tuple[int, ...], later_fields.LATER] = ()
    """Of each activating record, how many units of the hook point have a larger activation, in
    size, at the side's peak; empty where that was not read."""

    __repr__ = brief_repr

    @property
    def activating(self) -> tuple[ActivationRecord, ...]:
        """The records on which the side activates."""
        return tuple(r for r in self.records if r.stratum != "silent")


@dataclass(frozen=True, slots=True)
class _ScoredSet:
    unit: UnitId
    side: Side
    records: tuple[ActivationRecord, ...]
    strata: tuple[Stratum, ...]
    """The strata that the records were drawn from; their windows add up to the split's."""
    peak: float
    """Peak of the *explain* set, for turning activations into levels."""


@dataclass(frozen=True, slots=True)
class ValidationSet(_ScoredSet):
    """What chooses among an explainer's answers, from validation documents."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class HeldOutSet(_ScoredSet):
    """What only scorers read, from held-out documents."""

    __repr__ = brief_repr

    @property
    def n_windows(self) -> int:
        """Windows of the whole held-out split."""
        return sum(stratum.n_windows for stratum in self.strata)


@dataclass(frozen=True, slots=True)
class UnitSets:
    """The three sets of one side of one unit; made by the split and by nothing else."""

    explain: ExplainSet
    validation: ValidationSet
    held_out: HeldOutSet
    shown: Annotated[tuple[ActivationRecord, ...], later_fields.LATER] = ()
    """Explain windows that only people see, beside the explain set: further top ones, a random
    sample that all units share, and the strongest of the other side."""

    __repr__ = brief_repr


class TokenRows:
    """The tokens of some columns, in one order."""

    __slots__ = ("ids", "places")

    def __init__(self, ids: Iterable[int]) -> None:
        """Takes vocabulary ids, each once."""
        self.ids = array("q", ids)
        self.places = {token: place for place, token in enumerate(self.ids)}


class TokenColumn(Mapping[int, V]):
    """Vocabulary id -> number, as one array that numpy reads without a loop."""

    __slots__ = ("numbers", "rows")

    def __init__(self, rows: TokenRows, numbers: array[V]) -> None:
        """Takes one number a row."""
        self.rows = rows
        self.numbers: array[V] = numbers

    def __getitem__(self, token: int) -> V:
        return self.numbers[self.rows.places[token]]

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows.ids)

    def __len__(self) -> int:
        return len(self.numbers)

    def of(self, tokens: Sequence[int], *, otherwise: V) -> tuple[V, ...]:
        """The number of each token, `otherwise` of one that is not in it."""
        numbers, places = self.numbers, map(self.rows.places.get, tokens)
        return tuple(otherwise if place is None else numbers[place] for place in places)


@dataclass(frozen=True, slots=True)
class TokenMeans:
    """The token lookup table of one side of one unit, fitted on all explain tokens."""

    means: Mapping[int, float]
    """Vocabulary id -> mean activation of the side at that token, model units."""
    counts: Mapping[int, int]
    """Vocabulary id -> how often it was seen; the same keys."""
    overall: float
    """Mean over all explain tokens: the prediction for a token never seen."""

    __repr__ = brief_repr

    def predict(self, token_ids: tuple[int, ...]) -> tuple[float, ...]:
        """Predicted activation per token, model units."""
        if isinstance(self.means, TokenColumn):
            return self.means.of(token_ids, otherwise=self.overall)
        return tuple(self.means.get(token, self.overall) for token in token_ids)

    def columns(self) -> tuple[array[int], array[float], array[int]]:
        """(vocabulary ids, means, counts) in one order, as arrays that numpy reads as they are."""
        means, counts = self.means, self.counts
        if (
            isinstance(means, TokenColumn)
            and isinstance(counts, TokenColumn)
            and means.rows is counts.rows
        ):
            return means.rows.ids, means.numbers, counts.numbers
        ids = array("q", means)
        return ids, array("d", means.values()), array("q", map(counts.__getitem__, ids))


@dataclass(frozen=True, slots=True)
class NeuronStats:
    """What was counted of one unit over all splits together. BOS and padding are excluded."""

    n_tokens: int
    n_windows: int
    mean: float
    """Mean raw activation, model units."""
    variance: float
    """Population variance of the raw activation."""
    minimum: float
    maximum: float
    density: float
    """Fraction of *tokens* on which the labelled side is above the threshold."""
    window_density: float
    """Fraction of *windows* whose peak on the labelled side is above the threshold."""
    histogram: tuple[int, ...]
    """Token counts per bin; bins ascend, see `bin_edges`. Empty bins at both ends are cut."""
    bin_edges: tuple[float, ...]
    """Edges of those bins, one more than bins, model units; infinite ones are the float limit."""
    quantiles: tuple[tuple[float, float], ...]
    """(quantile, peak) of the activating windows' peaks on the labelled side, ascending."""

    def __repr__(self) -> str:
        active = f"active on {self.density:.2%} of {self.n_tokens:,} tokens"
        return f"NeuronStats({active}, from {self.minimum:.3g} to {self.maximum:.3g})"


def band_order(stratum: str) -> tuple[int, int, str]:
    """Sorts strata of an explain set: the top first, then quantile bands from the strongest."""
    if stratum == "top":
        return 0, 0, ""
    band = re.fullmatch(r"band(\d+)", stratum)
    return (1, -int(band[1]), "") if band else (2, 0, stratum)
