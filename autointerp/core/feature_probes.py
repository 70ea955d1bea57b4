"""Probes on few units for a feature, and how the feature is carried."""

from __future__ import annotations

from dataclasses import dataclass

from autointerp.core.ids import UnitId
from autointerp.core.one_line import brief_repr
from autointerp.core.scores import Score


@dataclass(frozen=True, slots=True)
class ProbeLine:
    """The probe on k units, scored on documents that are held out."""

    k: int
    units: tuple[UnitId, ...]
    """The strongest first."""
    weights: tuple[float, ...]
    """Of each, per standard deviation of the unit."""
    f1: Score
    precision: Score
    recall: Score
    mcc: Score
    """Matthews' correlation."""
    average_precision: Score
    certified: bool | None
    """Whether no other k of the candidates fit better; None where they were not searched."""
    loss: float | None
    """Least mean logistic loss that an exact search found, nats, with the ridge's part; None, as
    the next four, where nothing was searched."""
    bound: float | None
    """No other k of those searched have a lower loss than this."""
    gap: float | None
    """By how much the loss may be above the least one, nats."""
    n_searched: int | None
    """Candidates that were searched: all for one unit, the last that thresholding left for more."""
    n_subsets: int | None
    """Subsets among which these units are the best."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class BaselineLine:
    """Probes on k units or directions that others are read against."""

    name: str
    """``random units`` (of the candidates), ``units, same search`` (for the feature, searched for
    as in the next two), ``rotated basis`` or ``shuffled labels``."""
    k: int
    median_mcc: float
    highest_mcc: float


@dataclass(frozen=True, slots=True)
class FeatureVerdict:
    """How a feature is carried, judged on documents that are held out."""

    carrier: str
    """``one unit``, ``union of units``, ``superposition`` or ``absent``."""
    grain: str | None
    """``coarser``, ``finer`` or ``as fine`` as the feature; None where it is absent."""
    units: tuple[UnitId, ...]
    """That carry it, the strongest first; empty where it is absent."""
    best_mcc: float
    """Of the best probe."""
    chance_mcc: float
    """The highest of probes on shuffled labels."""
    reason: str
    """The rule that decided, with its numbers."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class FeatureProbes:
    """What probes on candidates from a few layers say of a feature."""

    hooks: tuple[str, ...]
    n_candidates: int
    n_train: int
    """Tokens that probes were fitted on."""
    n_test: int
    """Tokens of other documents that they were scored on."""
    lines: tuple[ProbeLine, ...]
    """The most units first."""
    dense_mcc: Score
    """Of the probe on all candidates."""
    baselines: tuple[BaselineLine, ...]
    verdict: FeatureVerdict

    __repr__ = brief_repr
