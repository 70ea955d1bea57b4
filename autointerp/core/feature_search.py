"""Which units of a model carry a feature, and how well they tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autointerp.core.feature_probes import FeatureProbes
from autointerp.core.ids import Side, UnitId
from autointerp.core.one_line import brief_repr


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Labelled tokens of one part of the text."""

    n_positive: int
    """Tokens that carry the feature."""
    n_negative: int
    """Tokens that do not, hard ones among them."""
    n_hard: int
    """Negatives that nearly carry it."""
    n_documents: int
    """Documents of labelled tokens."""

    @property
    def base_rate(self) -> float:
        """Share of the labelled tokens that carry the feature: what chance has for precision."""
        return self.n_positive / (self.n_positive + self.n_negative)


@dataclass(frozen=True, slots=True)
class FeatureUnit:
    """One unit and how well it alone tells the feature.

    All but `tested` is of the documents that units are ranked on.
    """

    unit: UnitId
    side: Side
    """Positive where high activations stand for the feature, negative where low ones do."""
    mean_difference: float
    """Mean activation with the feature less that without, model units."""
    f_statistic: float | None
    """Of a one-way analysis of variance; None where neither class varies."""
    average_precision: float
    """Of the side, 0..1, from binned activations."""
    mutual_information: float
    """Of the feature and the unit's bin, nats."""
    tested: float | None
    """Average precision of the same side on documents that are held out."""
    tested_low: float | None = None
    """Lower end of the 95 % interval of `tested` over documents; None behind the first units, and
    where a single document is held out."""
    tested_high: float | None = None
    label: str | None = None
    """What a dictionary calls the side; None without a dictionary, or a label there."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class FoundLayer:
    """One hook point and the best of its units."""

    hook: str
    n_units: int
    best: UnitId
    value: float | None
    """What units are ranked by, of that unit."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class FindReport:
    """A feature looked for among all units."""

    subject: str
    feature: str
    marks: str
    """What the positive tokens are."""
    hard: str
    """What the hard negatives are; empty where there are none."""
    corpus: str
    measure: str
    """What units are ranked by."""
    n_units: int
    ranked: ClassCounts
    """The text that units are ranked on."""
    tested: ClassCounts
    """The text of other documents, that they are tested on."""
    units: tuple[FeatureUnit, ...]
    """The best, best first."""
    layers: tuple[FoundLayer, ...]
    """All hook points, that of the best unit first."""
    probes: FeatureProbes | None = None
    """Probes on few units and the verdict; None where none were asked for."""
    notes: tuple[str, ...] = ()
    """What a reader should know of how it was done."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall clock, by stage."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """Probes on few units for a feature, without the ranking of units."""

    subject: str
    feature: str
    marks: str
    """What the positive tokens are."""
    hard: str
    """What the hard negatives are; empty where there are none."""
    corpus: str
    n_units: int
    """Units among which the candidates of probes are the best."""
    ranked: ClassCounts
    """The text that candidates were chosen on; probes are fitted on tokens drawn from it."""
    tested: ClassCounts
    """The text of other documents, that they are scored on."""
    probes: FeatureProbes
    notes: tuple[str, ...] = ()
    """What a reader should know of how it was done."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall clock, by stage."""

    __repr__ = brief_repr
