"""Of what kind a side of a unit is, by rules over its evidence; each kind with its thresholds.

A unit may be of several kinds, and of none: unknown is an answer. The thresholds are conventions,
chosen so that planted units of each kind are told and units of other kinds are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from autointerp.core.evidence_words import title_of, value_words
from autointerp.core.explanations import Label
from autointerp.core.unit_evidence import Measure, Quantity, UnitEvidence


class UnitKind(StrEnum):
    """What a unit does."""

    CURRENT_TOKEN = "current_token"
    """It follows the token at which it stands."""
    TOKEN_PAIR = "token_pair"
    """Where its tokens stand, the token before decides: a bigram."""
    DETOKENIZATION = "detokenization"
    """A pair of tokens that are parts of one word."""
    NEXT_TOKEN = "next_token"
    """It makes the tokens more probable that follow where it is active."""
    CONTEXT = "context"
    """It is active in some texts throughout, as for a topic or a language, whatever the token."""
    POSITION = "position"
    """It follows the position in the window."""
    REPEATED_TOKEN = "repeated_token"
    """It is active where a token has stood in the window before."""
    MEMORY_MANAGEMENT = "memory_management"
    """It writes the opposite of what it reads, which erases that."""
    SUPPRESSOR = "suppressor"
    """It makes some tokens much less probable and none as much more so."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """What one quantity must be."""

    quantity: Quantity
    least: float | None = None
    most: float | None = None
    above_control: float | None = None
    """So far above the control."""
    by_low: bool = False
    """Whether the low end of the interval counts, where there is one, and not the value."""

    def met(self, measure: Measure | None) -> bool:
        """Whether the measure is there and is as it must be."""
        if measure is None or measure.value is None:
            return False
        value = measure.value
        if self.by_low and measure.low is not None:
            value = measure.low
        over = value - (measure.control or 0.0)
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above_control is None or over >= self.above_control)
        )


@dataclass(frozen=True, slots=True)
class FoundKind:
    """A kind that a unit is of."""

    kind: UnitKind
    because: str
    """The evidence, in words."""


_TITLES = {
    UnitKind.CURRENT_TOKEN: "follows the current token",
    UnitKind.TOKEN_PAIR: "pair of tokens",
    UnitKind.DETOKENIZATION: "parts of a word",
    UnitKind.NEXT_TOKEN: "predicts the next token",
    UnitKind.CONTEXT: "context",
    UnitKind.POSITION: "position",
    UnitKind.REPEATED_TOKEN: "repeated token",
    UnitKind.MEMORY_MANAGEMENT: "erases what it reads",
    UnitKind.SUPPRESSOR: "suppressor",
}
_INPUTS = (Quantity.INPUT_OUTPUT_COSINE, Quantity.GATE_OUTPUT_COSINE)
THRESHOLDS: dict[UnitKind, tuple[Threshold, ...]] = {
    UnitKind.CURRENT_TOKEN: (Threshold(Quantity.TOKEN_SHARE, least=0.5),),
    UnitKind.TOKEN_PAIR: (Threshold(Quantity.PAIR_SHARE, least=0.3, above_control=0.2),),
    UnitKind.DETOKENIZATION: (
        Threshold(Quantity.PAIR_SHARE, least=0.3, above_control=0.2),
        Threshold(Quantity.CONTINUED_WORD, least=0.8, above_control=0.3),
    ),
    UnitKind.NEXT_TOKEN: (Threshold(Quantity.NEXT_TOKEN, above_control=1.0, by_low=True),),
    UnitKind.CONTEXT: (
        Threshold(Quantity.WINDOW_SHARE, least=0.3, above_control=0.2),
        Threshold(Quantity.TOKEN_SHARE, most=0.3),
    ),
    UnitKind.POSITION: (Threshold(Quantity.POSITION_SHARE, least=0.3, above_control=0.1),),
    UnitKind.REPEATED_TOKEN: (Threshold(Quantity.REPETITION, least=0.3, above_control=0.15),),
}
"""All thresholds of a kind must be met."""
OPPOSED = -0.5
"""Cosine of what is read and written (gated: of the gate) from which on one erases the other."""
SUPPRESSION = 1.5
"""How many times as much the strongest suppressed token must lose as the strongest promoted gains.
"""


def kind_title(kind: UnitKind) -> str:
    """What a kind is called."""
    return _TITLES[kind]


def kinds_of(label: Label) -> tuple[FoundKind, ...]:
    """The kinds that a label's evidence tells, in the order of `UnitKind`; empty where unknown."""
    evidence = label.evidence
    if evidence is None:
        return ()
    found = {one.kind: one for one in (*_by_thresholds(evidence), *_by_weights(label, evidence))}
    return tuple(found[kind] for kind in UnitKind if kind in found)


def _by_thresholds(evidence: UnitEvidence) -> Iterator[FoundKind]:
    for kind, thresholds in THRESHOLDS.items():
        measures = [evidence.measure(one.quantity) for one in thresholds]
        if all(one.met(found) for one, found in zip(thresholds, measures, strict=True)):
            yield FoundKind(kind, _said(measures))


def _by_weights(label: Label, evidence: UnitEvidence) -> Iterator[FoundKind]:
    cosines = [one for q in _INPUTS if (one := evidence.measure(q)) is not None]
    opposed = [one for one in cosines if one.value is not None and one.value <= OPPOSED]
    if opposed:
        yield FoundKind(UnitKind.MEMORY_MANAGEMENT, _said(opposed))
    up, down = label.promoted_values[:1], label.suppressed_values[:1]
    if up and down and -down[0] >= SUPPRESSION * max(up[0], 0.0) and down[0] < 0:
        because = f"the strongest suppressed token {down[0]:+.3g}, promoted {up[0]:+.3g}"
        yield FoundKind(UnitKind.SUPPRESSOR, because)


def _said(measures: Sequence[Measure | None]) -> str:
    known = (one for one in measures if one is not None)
    return "; ".join(f"{title_of(one.quantity)} {value_words(one)}" for one in known)
