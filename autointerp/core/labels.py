"""A label: what is said of one side of one unit, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import Candidate, Explanation, Provenance
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import NeuronStats
from autointerp.core.scores import Score, ScorerResult


class LabelStatus(StrEnum):
    """How labelling ended for a unit."""

    OK = "ok"
    """There is an explanation, and its preferred score has a value."""
    DEAD = "dead"
    """The side never activates on the explain text, or too seldom to hold anything out."""
    NO_SIGNAL = "no_signal"
    """It activates, but no explanation could be scored above nothing: the reason says why."""
    FAILED = "failed"
    """Something failed: the LLM, or reading its replies. A run with ``--resume`` tries again."""


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """What a label says, without what it was chosen and judged by."""

    unit: UnitId
    side: Side
    status: LabelStatus
    explanation: Explanation | None
    preferred: str | None
    """Name of the scorer whose population score is the headline."""
    headline: Score
    stats: NeuronStats
    corpus: str
    """Name of the corpus that was read."""


@dataclass(frozen=True, slots=True)
class Label:
    """The outcome for one side of one unit."""

    unit: UnitId
    side: Side
    status: LabelStatus
    reason: str | None
    """Why the status is not ``ok``; None where it is."""
    explanation: Explanation | None
    candidates: tuple[Candidate, ...]
    results: tuple[ScorerResult, ...]
    preferred: str | None
    """Name of the scorer whose population score is the headline."""
    stats: NeuronStats
    top_tokens: tuple[str, ...]
    """Tokens with the greatest mean activation of the side over explain text, best first."""
    provenance: Provenance
    failures: tuple[str, ...] = ()
    """What failed on the way without deciding the label: answers that could not be read."""
    promoted: tuple[str, ...] = ()
    """Tokens that the side makes more probable by the unit's output weights, strongest first."""
    suppressed: tuple[str, ...] = ()
    """Tokens that it makes less probable, strongest first."""

    def __post_init__(self) -> None:
        if (self.status is LabelStatus.OK) != (self.reason is None):
            msg = f"label {self.unit}: a status other than ok needs a reason, and ok takes none"
            raise AutointerpError(msg)

    def replaces(self, stored: Label | None) -> bool:
        """Whether a store takes it in place of another: a failure replaces only a failure."""
        failed = LabelStatus.FAILED
        return stored is None or self.status is not failed or stored.status is failed

    def result(self, scorer: str) -> ScorerResult | None:
        """What that scorer found, or None where it did not run."""
        return next((r for r in self.results if r.scorer == scorer), None)

    def score(self, scorer: str, name: str = "population") -> Score:
        """A score by name; undefined with a reason where the scorer did not run."""
        result = self.result(scorer)
        if result is None:
            return Score.undefined(name, f"{scorer} did not run")
        return result.score(name)

    @property
    def headline(self) -> Score:
        """The population score of the preferred scorer."""
        if self.preferred is None:
            return Score.undefined("population", self.reason or "no scorer ran")
        return self.score(self.preferred)

    @property
    def summary(self) -> LabelSummary:
        """The label without what it was chosen and judged by."""
        return LabelSummary(
            unit=self.unit,
            side=self.side,
            status=self.status,
            explanation=self.explanation,
            preferred=self.preferred,
            headline=self.headline,
            stats=self.stats,
            corpus=self.provenance.corpus,
        )
