"""What labels come to on text of another kind than they were learned on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from autointerp.core.ids import Side, UnitId
from autointerp.core.one_line import brief_repr
from autointerp.core.scores import Score
from autointerp.statistics.permutation import q_values
from autointerp.statistics.text_differences import TextDifference, TextScore

RATE = 0.05
"""Share of labels that are expected to be among those to distrust by mistake."""

OUT_OF_BUDGET = "the budget of the LLM was spent before it"
"""Why a label is untested that a run with more to spend would test."""


class Outcome(StrEnum):
    """What one label came to on the other text."""

    LOWER = "lower"
    """Its score is lower there, beyond chance: it is to be distrusted."""
    SAME = "same"
    """Chance is enough to explain the difference."""
    HIGHER = "higher"
    """Its score is higher there, beyond chance."""
    SILENT = "silent"
    """The unit is active nowhere in that text, which says nothing against the label."""
    ABSENT = "absent"
    """What the label names does not occur there, so that it predicts the same everywhere."""
    UNTESTED = "untested"
    """No difference could be tested; the reason says why."""


@dataclass(frozen=True, slots=True)
class RescoredLabel:
    """One label on its own held-out text and on another text."""

    unit: UnitId
    side: Side
    text: str | None
    """The explanation; None where the label has none."""
    scorer: str | None
    """Who predicted activations from it, on both texts."""
    known: Outcome | None
    """What it came to where no test decides: silent, absent or untested."""
    reason: str | None
    """Why that is so."""
    own: TextScore | None = None
    """On held-out text of the kind that it was learned on."""
    other: TextScore | None = None
    """On held-out text of the other kind."""
    difference: TextDifference | None = None
    """The other less its own."""
    table: Score | None = None
    """The control: what the mean activation of each token of the *other* kind of text, fitted on
    other documents of it, scores on the same windows."""
    over_table: Score | None = None
    """How much better the label predicts there than that table, paired on the same windows."""
    own_over_table: Score | None = None
    """The same on its own text, where the table is of that."""
    density: float | None = None
    """Share of tokens of its own text on which the side is active."""
    other_density: float | None = None
    other_peak: float | None = None
    """Largest activation of the side on the other text, where 1 is that on its own."""
    q: float | None = None
    """The p-value of the difference among all labels that were tested."""

    __repr__ = brief_repr

    @property
    def outcome(self) -> Outcome:
        """What it came to, at the rate `RATE`."""
        if self.known is not None:
            return self.known
        if self.difference is None or self.difference.value is None or self.q is None:
            return Outcome.UNTESTED
        if self.q > RATE:
            return Outcome.SAME
        return Outcome.LOWER if self.difference.value < 0 else Outcome.HIGHER

    @property
    def has_other_pattern(self) -> bool:
        """Whether tokens tell clearly more than the label there, compared with its own text.

        A full table is ahead of most labels: what counts is that it is further ahead there.
        """
        there, own = self.over_table, self.own_over_table
        if there is None or own is None or there.high is None or own.low is None:
            return False
        return there.high < min(0.0, own.low)


@dataclass(frozen=True, slots=True)
class LayerTally:
    """The labels of one layer, counted by what they came to."""

    layer: int
    counts: Mapping[Outcome, int]
    """Every outcome is there."""
    median_own: float | None
    """Median score on their own text, of those that have a score on both."""
    median_other: float | None

    @property
    def n_tested(self) -> int:
        """Labels whose difference was tested."""
        return sum(self.counts[o] for o in (Outcome.LOWER, Outcome.SAME, Outcome.HIGHER))


@dataclass(frozen=True, slots=True)
class RescoreReport:
    """All labels that were rescored, each tested among all of them."""

    subject: str
    corpus: str
    """The text that they were learned on."""
    other: str
    """The text that they were tried on."""
    n_tokens: int
    """Tokens of the other text that were read, BOS and padding excluded."""
    n_dictionary: int
    """Labels of the dictionary, from which these were taken."""
    labels: tuple[RescoredLabel, ...]
    """By layer, hook point, index and side."""
    notes: tuple[str, ...] = ()
    """What a reader should know of how it was done."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall clock, by stage."""
    folder: Path | None = None
    """Where it is kept; None where it is not."""

    __repr__ = brief_repr

    @property
    def distrusted(self) -> tuple[RescoredLabel, ...]:
        """The labels to distrust, the one that lost most first."""
        found = [label for label in self.labels if label.outcome is Outcome.LOWER]
        return tuple(sorted(found, key=_by_loss))

    @property
    def all(self) -> LayerTally:
        """All layers together."""
        return _tally(-1, self.labels)

    @property
    def layers(self) -> tuple[LayerTally, ...]:
        """Each layer by itself, ascending."""
        ordered = sorted(self.labels, key=lambda label: label.unit.layer)
        groups = groupby(ordered, key=lambda label: label.unit.layer)
        return tuple(_tally(layer, list(group)) for layer, group in groups)

    @property
    def n_other_patterns(self) -> int:
        """Of those to distrust, units of which tokens of the other text tell clearly more."""
        return sum(label.has_other_pattern for label in self.distrusted)

    @property
    def n_unpaid(self) -> int:
        """Labels that were left out as the LLM's budget was spent."""
        return sum(label.reason == OUT_OF_BUDGET for label in self.labels)

    @property
    def n_under_any_dependence(self) -> int:
        """Labels that would be distrusted however the tests depend on each other."""
        found = q_values([_p(label) for label in self.labels], any_dependence=True)
        return sum(
            q is not None and q <= RATE and label.outcome is Outcome.LOWER
            for q, label in zip(found, self.labels, strict=True)
        )


def tested(labels: Sequence[RescoredLabel]) -> tuple[RescoredLabel, ...]:
    """The labels in order, each with its q-value among all of them."""
    ordered = sorted(labels, key=_place)
    adjusted = q_values([_p(label) for label in ordered])
    return tuple(replace(label, q=q) for label, q in zip(ordered, adjusted, strict=True))


def rescore_json(report: RescoreReport) -> dict[str, Any]:
    """A report for ``--json`` and for its file."""
    return {
        "subject": report.subject,
        "corpus": report.corpus,
        "other_corpus": report.other,
        "n_tokens": report.n_tokens,
        "n_dictionary": report.n_dictionary,
        "n_labels": len(report.labels),
        "rate": RATE,
        "adjustment": "Benjamini-Hochberg",
        **_tally_json(report.all),
        "n_other_patterns": report.n_other_patterns,
        "n_lower_under_any_dependence": report.n_under_any_dependence,
        "layers": [{"layer": tally.layer, **_tally_json(tally)} for tally in report.layers],
        "distrusted": [f"{label.unit} {label.side}" for label in report.distrusted],
        "notes": list(report.notes),
        "seconds": dict(report.seconds),
        "labels": [_label_json(label) for label in report.labels],
    }


def _label_json(label: RescoredLabel) -> dict[str, Any]:
    values = asdict(label)
    del values["known"]
    return {
        **values,
        "unit": str(label.unit),
        "outcome": str(label.outcome),
        "has_other_pattern": label.has_other_pattern,
    }


def _tally_json(tally: LayerTally) -> dict[str, Any]:
    counts = {f"n_{outcome}": n for outcome, n in tally.counts.items()}
    medians = {"median_own": tally.median_own, "median_other": tally.median_other}
    return {"n_tested": tally.n_tested, **counts, **medians}


def _tally(layer: int, labels: Sequence[RescoredLabel]) -> LayerTally:
    counts = Counter(label.outcome for label in labels)
    pairs = list(_both_scores(labels))
    return LayerTally(
        layer,
        {outcome: counts[outcome] for outcome in Outcome},
        median(own for own, _ in pairs) if pairs else None,
        median(other for _, other in pairs) if pairs else None,
    )


def _both_scores(labels: Sequence[RescoredLabel]) -> Iterator[tuple[float, float]]:
    for label in labels:
        if label.own is None or label.other is None:
            continue
        if label.own.value is not None and label.other.value is not None:
            yield label.own.value, label.other.value


def _p(label: RescoredLabel) -> float | None:
    return None if label.known is not None or label.difference is None else label.difference.p


def _by_loss(label: RescoredLabel) -> tuple[float, tuple[int, str, int, bool]]:
    value = None if label.difference is None else label.difference.value
    return value or 0.0, _place(label)


def _place(label: RescoredLabel) -> tuple[int, str, int, bool]:
    unit = label.unit
    return unit.layer, unit.hook, unit.index, label.side is Side.NEGATIVE
