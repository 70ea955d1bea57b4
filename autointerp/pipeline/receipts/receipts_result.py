"""What trying a label came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from autointerp.core.explanations import Explanation
from autointerp.core.probe import ProbedText
from autointerp.core.scores import Score
from autointerp.core.sense_types import SILENT, Receipt, ReceiptKind, Sense, senses_text
from autointerp.programs.language import parse_program

_FEWEST = 2


@dataclass(frozen=True, slots=True)
class FailedSense:
    """A sense that its receipts speak against."""

    sense: int
    """Its 0-based place."""
    reason: str
    """``the unit fires on 0 of 3 texts that were written to activate it``."""
    predicts_on_validation: bool = False
    """Whether its rules predict on validation windows: it is not described anew."""


@dataclass(frozen=True, slots=True)
class WrittenReceipt:
    """A receipt of a text that an LLM wrote, with what the unit did at each of its tokens."""

    receipt: Receipt
    probed: ProbedText


@dataclass(frozen=True, slots=True)
class ReceiptsResult:
    """What trying one explanation of one side of a unit on the subject model came to."""

    survived: Score
    """``survived``: share of the written texts that came out as expected."""
    written: tuple[WrittenReceipt, ...] = ()
    """Texts that an LLM wrote, by sense."""
    edited: tuple[Receipt, ...] = ()
    """Exemplars, cut and edited."""
    needs: tuple[str, ...] = ()
    """``needs ' Anglo' before '-'``: one sentence an exemplar, each once."""
    failing: tuple[FailedSense, ...] = ()
    broader: Explanation | None = None
    """The explanation with a broader rewrite of each sense that has one."""
    narrower: Explanation | None = None
    notes: tuple[str, ...] = ()
    """What could not be done, and what was left out."""
    n_runs: int = 0
    """Texts and edits that were run through the subject model."""
    n_tokens: int = 0
    """What the LLM cost."""

    @classmethod
    def none(cls, reason: str) -> ReceiptsResult:
        """No receipts, and why."""
        return cls(Score.undefined("survived", reason), notes=(f"no receipts: {reason}",))

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """All of them, those that the LLM wrote first."""
        return (*(one.receipt for one in self.written), *self.edited)

    def noting(self, *notes: str) -> ReceiptsResult:
        """The same with further notes."""
        return replace(self, notes=(*self.notes, *notes))

    def doubt(self, sense: int) -> str | None:
        """Why a sense is doubtful; None where it is not."""
        for one in self.failing:
            if one.sense == sense:
                predicts = "; its rules predict on validation windows"
                return one.reason + predicts * one.predicts_on_validation
        return None


def senses_of(explanation: Explanation) -> tuple[Sense, ...]:
    """The explanation's senses; its text as the only one where it has none."""
    return explanation.senses or (Sense(explanation.text, 10.0),)


def with_descriptions(explanation: Explanation, descriptions: Sequence[str | None]) -> Explanation:
    """The explanation with other words for each sense; nothing fitted to the old ones stays.

    None drops a sense; one must stay.
    """
    senses = tuple(
        sense if sense.description == text else _in_other_words(sense, text)
        for sense, text in zip(senses_of(explanation), descriptions, strict=True)
        if text is not None
    )
    named = senses if explanation.senses else ()
    return replace(explanation, text=senses_text(senses), senses=named, rules=(), program=None)


def _in_other_words(sense: Sense, text: str) -> Sense:
    """No longer found by its rules, and so at the level in the middle of theirs."""
    level = sense.level
    if sense.program is not None:
        level = max(SILENT, median(rule.level for rule in parse_program(sense.program).rules))
    return replace(sense, description=text, level=level, activation=None, program=None)


def failing_senses(receipts: Sequence[Receipt], n_senses: int) -> tuple[FailedSense, ...]:
    """The senses of whose positives fewer than half fire, or of whose near misses more than half.

    At least two texts of the kind must have been run.
    """
    checks = (
        (ReceiptKind.POSITIVE, "texts that were written to activate it"),
        (
            ReceiptKind.NEAR_MISS,
            "near misses",
        ),
    )
    failing = []
    for sense in range(n_senses):
        whys = []
        for kind, what in checks:
            own = [r for r in receipts if r.sense == sense and r.kind is kind]
            n_firing = sum(r.level >= r.fires_from for r in own)
            right = n_firing if kind is ReceiptKind.POSITIVE else len(own) - n_firing
            if len(own) >= _FEWEST and 2 * right < len(own):
                whys.append(f"the unit fires on {n_firing} of {len(own)} {what}")
        if whys:
            failing.append(FailedSense(sense, " and ".join(whys)))
    return tuple(failing)
