"""What rescored labels come to, in sentences: of all of them, and of one."""

from __future__ import annotations

from collections.abc import Iterator

from autointerp.dictionary.rescored_labels import Outcome, RescoredLabel, RescoreReport

_LARGE = 0.2
"""A loss that chance may hide is told from here on."""


def report_sentences(report: RescoreReport) -> Iterator[str]:
    """How many labels to distrust, both median scores, and how many follow something else."""
    every, own, other = report.all, report.corpus, report.other
    n_lower, n_tested = every.counts[Outcome.LOWER], every.n_tested
    if not n_tested:
        yield f"no label could be tested on {other}"
        return
    labels = "1 label" if n_tested == 1 else f"{n_tested:,} labels"
    yield (
        f"{n_lower:,} of {labels} ({n_lower / n_tested:.0%}) learned on {own} say clearly less "
        f"about their unit on {other}: do not trust them there."
    )
    if every.median_own is not None and every.median_other is not None:
        yield (
            f"The median score is {_two(every.median_own)} on {own} and {_two(every.median_other)} "
            f"on {other}, where 1 is a perfect label."
        )
    if n_lower:
        yield (
            f"{report.n_other_patterns:,} of the {n_lower:,} follow something else there: beside "
            f"the label {other}'s own tokens tell more of the unit than {own}'s do on {own}."
        )


def advice(label: RescoredLabel, report: RescoreReport) -> str:
    """Whether to distrust one label on the other text, and why."""
    other = report.other
    if label.outcome is Outcome.LOWER:
        return (
            f"Do not trust it on {other}: it says clearly less about the unit there. {_why(label)}"
        )
    if label.outcome is Outcome.SAME:
        return f"Nothing speaks against it on {other}: {_chance(label)}"
    if label.outcome is Outcome.HIGHER:
        return f"It says more about the unit on {other} than on {report.corpus}, beyond chance."
    if label.outcome is Outcome.SILENT:
        return (
            f"Nothing is known of it on {other}: the unit is active nowhere in the "
            f"{report.n_tokens:,} tokens that were read."
        )
    if label.outcome is Outcome.ABSENT:
        return (
            f"It says nothing about the unit on {other}: what it names does not occur there, "
            "while the unit is active."
        )
    return f"It was not tested on {other}: {label.reason or _untested(label)}."


def _why(label: RescoredLabel) -> str:
    if label.has_other_pattern:
        return (
            "The unit follows something else there: that text's own tokens are further ahead of "
            "the label than those of its own text are."
        )
    return "That text's own tokens are not clearly further ahead: it may just be harder to predict."


def _chance(label: RescoredLabel) -> str:
    change = label.difference
    if change is not None and change.low is not None and change.low < -_LARGE:
        return (
            "chance is enough to explain the difference. The texts are few, so that a loss of up "
            f"to {-change.low:.2f} is not excluded."
        )
    return "chance is enough to explain the difference."


def _untested(label: RescoredLabel) -> str:
    reason = None if label.difference is None else label.difference.reason
    return reason or "no difference could be told"


def _two(value: float) -> str:
    # Adding 0.0 keeps a rounded-off negative from reading -0.00.
    return f"{round(value, 2) + 0.0:.2f}"
