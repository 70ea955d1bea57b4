"""What verdicts would be worth without the judge's own errors, which are measured.

At a base rate of 0.001 a judge that says yes to 1 % of what does not match turns an F1 of 0.95
into 0.15. So its errors are counted on questions whose answers are known: explanations of other
units, to which no is right, and windows known to match. Rates are corrected for them (Rogan and
Gladen 1978), and the interval carries how well the errors are known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.scores import Score, Trial
from autointerp.statistics.bootstrap import Resampling, replicate
from autointerp.statistics.classification import Judged
from autointerp.statistics.confusion import FN, FP, TN, TP, confusion_statistic
from autointerp.statistics.intervals import percentile_ends
from autointerp.statistics.scored_windows import Floats

_METRICS = ("f1", "precision", "recall", "balanced_accuracy")


@dataclass(frozen=True, slots=True)
class JudgeErrors:
    """How often a judge erred on questions whose answers are known; failed ones are left out."""

    n_silent: int
    """Questions to which no is right."""
    n_false_yes: int
    n_matching: int
    """Questions to which yes is right; 0 where none was put."""
    n_missed: int

    def __post_init__(self) -> None:
        parts = ((self.n_false_yes, self.n_silent), (self.n_missed, self.n_matching))
        if not all(0 <= some <= whole for some, whole in parts):
            raise InputError(f"a judge cannot err more often than it was asked, found {self}")

    @property
    def false_yes_rate(self) -> float | None:
        """Share of yes where no is right; None where that was never asked."""
        return self.n_false_yes / self.n_silent if self.n_silent else None

    @property
    def miss_rate(self) -> float | None:
        """Share of no where yes is right; None where that was never asked."""
        return self.n_missed / self.n_matching if self.n_matching else None

    def drawn(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Rates of false yes and of misses as they may be, given the counts (Jeffreys)."""
        false_yes = rng.beta(self.n_false_yes + 0.5, self.n_silent - self.n_false_yes + 0.5, n)
        if not self.n_matching:
            return false_yes, np.zeros(n)
        return false_yes, rng.beta(self.n_missed + 0.5, self.n_matching - self.n_missed + 0.5, n)


@dataclass(frozen=True, slots=True)
class CorrectedScores:
    """Scores with the judge's errors taken out, and what a reader must know of them."""

    scores: tuple[Score, ...]
    """``f1_corrected``, then precision, recall and balanced accuracy likewise."""
    notes: tuple[str, ...]


def judge_errors(shuffled: Sequence[Trial], known: Sequence[Trial] = ()) -> JudgeErrors:
    """The judge's errors, from its trials.

    `shuffled` are verdicts on explanations of other units, where no counts as right; one that does
    match by accident makes the judge look worse than it is. `known` trials have a `truth`.

    Raises:
        InputError: a known answer that is not given.
    """
    if any(trial.truth is None for trial in known):
        raise InputError("a trial with a known answer needs its truth")
    false_yes = [t.verdict for t in shuffled if t.verdict is not None]
    false_yes += [t.verdict for t in known if t.verdict is not None and not t.truth]
    result = [t.verdict for t in known if t.verdict is not None and t.truth]
    return JudgeErrors(len(false_yes), sum(false_yes), len(result), len(result) - sum(result))


def corrected_scores(  # noqa: PLR0913
    verdicts: Sequence[bool],
    truths: Sequence[bool],
    errors: JudgeErrors,
    resampling: Resampling,
    *,
    weights: Sequence[float] | None = None,
    strata: Sequence[str] | None = None,
) -> CorrectedScores:
    """F1, precision, recall and balanced accuracy of a judge without errors.

    In each class the share of yes is ``match * (1 - miss) + (1 - match) * false yes``; solved
    for the share that matches and clipped to 0..1.

    A verdict is whether the window matches the explanation, as judged; a truth whether it really
    activates. The errors are of this judge, with this prompt.

    Raises:
        InputError: lengths that differ, or a weight that is not positive.
    """
    judged = Judged.of(verdicts, truths, weights, strata)
    false_yes, miss = errors.false_yes_rate, errors.miss_rate or 0.0
    reason = judged.why_undefined("balanced_accuracy") or _why_nothing_to_correct(false_yes, miss)
    if reason is not None or false_yes is None:
        names = [f"{name}_corrected" for name in _METRICS]
        undefined = (Score.undefined(n, reason or "", n_windows=len(truths)) for n in names)
        return CorrectedScores(tuple(undefined), ())
    rows = judged.cell_rows()
    active, silent = judged.weights[judged.truths].sum(), judged.weights[~judged.truths].sum()
    masses = float(active), float(silent)
    matching = _matching(rows.sum(axis=0), np.array(false_yes), np.array(miss))
    result = _resampled(judged, rows, errors, resampling)
    scores = (_score(name, matching, result, masses, resampling) for name in _METRICS)
    counted = tuple(replace(score, n_windows=len(truths)) for score in scores)
    return CorrectedScores(counted, _notes(errors, matching))


def _why_nothing_to_correct(false_yes: float | None, miss: float) -> str | None:
    if false_yes is None:
        return "the judge's false positives were not measured"
    if 1 - miss > false_yes:
        return None
    return (
        f"the judge says yes to {1 - miss:.1%} of what matches and to {false_yes:.1%} of what "
        "does not: its verdicts carry nothing to correct"
    )


def _matching(confusion: Floats, false_yes: Floats, miss: Floats) -> Floats:
    """Shares of the active and of the silent windows that match, not clipped; shape (..., 2).

    NaN where the judge would be no better than chance.
    """
    yes = np.stack(
        [
            confusion[..., TP] / (confusion[..., TP] + confusion[..., FN]),
            confusion[..., FP] / (confusion[..., FP] + confusion[..., TN]),
        ],
        axis=-1,
    )
    told_apart = 1 - miss - false_yes
    told_apart = np.where(told_apart > 0, told_apart, np.nan)
    return np.asarray((yes - false_yes[..., None]) / told_apart[..., None])


def _resampled(judged: Judged, rows: Floats, errors: JudgeErrors, resampling: Resampling) -> Floats:
    rng = np.random.default_rng([resampling.seed, 2])
    size = np.repeat([judged.mean_weight(True), judged.mean_weight(False)], 2)

    def estimate(counts: Floats) -> Floats:
        # As for scores that are not corrected: a right and a wrong verdict that were not seen.
        confusion = counts @ rows + rng.gamma(0.5, size=(len(counts), 4)) * size
        return _matching(confusion, *errors.drawn(len(counts), rng))

    return replicate(judged.groups, estimate, resampling)


def _score(
    name: str,
    matching: Floats,
    errors_found: Floats,
    masses: tuple[float, float],
    resampling: Resampling,
) -> Score:
    value = float(_metric(name, matching, masses))
    if not math.isfinite(value):
        return Score.undefined(f"{name}_corrected", "no window matches once errors are taken out")
    resampled = _metric(name, errors_found, masses)
    n_defined, tail = int(np.isfinite(resampled).sum()), (1 - resampling.confidence) / 2
    low, high = 0.0, 1.0
    # Where the judge may well be no better than chance, anything may be true.
    if n_defined >= (1 - tail) * len(resampled):
        low, high = percentile_ends(resampled, resampling.confidence)
    return Score(f"{name}_corrected", value, min(low, value), max(high, value), 0, None)


def _metric(name: str, matching: Floats, masses: tuple[float, float]) -> Floats:
    active, silent = np.moveaxis(np.clip(matching, 0.0, 1.0), -1, 0)
    parts = (
        masses[0] * active,
        masses[0] * (1 - active),
        masses[1] * silent,
        masses[1] * (1 - silent),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return confusion_statistic(name)(np.stack(parts, axis=-1))


def _notes(errors: JudgeErrors, matching: Floats) -> tuple[str, ...]:
    notes = [
        f"the judge said yes to {errors.n_false_yes} of {errors.n_silent} questions to which no "
        "is right"
    ]
    if errors.n_matching:
        notes.append(f"and no to {errors.n_missed} of {errors.n_matching} to which yes is right")
    else:
        notes.append("its misses were not measured and count as the explanation's")
    for share, what in zip(matching.tolist(), ("activate", "are silent"), strict=True):
        if not 0 <= share <= 1:
            notes.append(
                f"the corrected share of windows that {what} and match was {share:.3f}, "
                f"clipped to {min(max(share, 0.0), 1.0):.0f}"
            )
    return tuple(notes)
