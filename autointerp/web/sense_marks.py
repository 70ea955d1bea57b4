"""Which sense of a label an exemplar is of, as far as what is stored tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, Label
from autointerp.core.ids import Side
from autointerp.core.records import MAX_LEVEL, ActivationRecord
from autointerp.core.sense_types import Sense
from autointerp.programs import Program, parse_program

SenseOf = Callable[[ActivationRecord], int | None]
"""The 0-based sense that is the strongest of those that apply at a window's peak; None for none."""


def sensed_explanation(label: Label) -> Explanation | None:
    """The explanation whose senses colour the page: the label's, else the LLM's; or none."""
    found = (label.explanation, label.llm.explanation if label.llm else None)
    return next((one for one in found if one is not None and len(one.senses) > 1), None)


def sense_marks(label: Label, *, peak: float) -> SenseOf | None:
    """Tells the sense of a window; None where nothing that is stored does.

    Of held-out windows the scorer kept which sense predicts each token. Of all others the rules of
    the senses tell, where each has some: where a reader says that a sense applies, what it said of
    held-out windows alone is kept.
    """
    explanation = sensed_explanation(label)
    if explanation is None:
        return None
    judged = {
        trial.window: trial.senses
        for result in label.results
        if result.explanation == explanation.text
        for trial in result.trials
        if trial.senses
    }
    programs = _programs(explanation.senses)
    if not judged and programs is None:
        return None

    gains = [
        sense.level / MAX_LEVEL * peak if sense.activation is None else sense.activation
        for sense in explanation.senses
    ]

    def sense_of(record: ActivationRecord) -> int | None:
        at = _peak_at(record, label.side)
        known = judged.get(record.window)
        if known is not None and at < len(known):
            return known[at] if known[at] >= 0 else None
        if programs is None:
            return None
        return _strongest(gains, programs, record, at)

    return sense_of


def tells_of_exemplars(explanation: Explanation) -> bool:
    """Whether the sense of any window can be told, and not only that of held-out ones."""
    return _programs(explanation.senses) is not None


def _programs(senses: Sequence[Sense]) -> tuple[Program, ...] | None:
    if not all(sense.program for sense in senses):
        return None
    try:
        return tuple(parse_program(sense.program or "") for sense in senses)
    except InputError:
        return None  # Of a version that knows other rules.


def _strongest(
    gains: Sequence[float], programs: Sequence[Program], record: ActivationRecord, at: int
) -> int | None:
    best, found = 0.0, None
    for number, (gain, program) in enumerate(zip(gains, programs, strict=True)):
        predicted = gain * program.level_at(record.tokens, at) / program.level
        if predicted > best:
            best, found = predicted, number
    return found


def _peak_at(record: ActivationRecord, side: Side) -> int:
    values = record.side(side)
    return max(range(len(values)), key=values.__getitem__, default=0)
