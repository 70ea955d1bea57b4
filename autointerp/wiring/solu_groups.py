"""The units that a judge of a blinded study was sure of, by what they are of, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autointerp.core.blind_study import Answer, ItemKey, ItemVerdict
from autointerp.statistics.studies.shares import SharesOfTwo, compare_pairs, compare_shares

Judged = Mapping[str, bool]
"""Whether one rule covers it, by item; without those a judge is not sure of."""


def judged(verdicts: Sequence[ItemVerdict], judge: str) -> Judged:
    """What one judge was sure of."""
    own = (v for v in verdicts if v.judge == judge and v.answer is not Answer.UNSURE)
    return {verdict.item: verdict.answer is Answer.YES for verdict in own}


def _units(
    answers: Judged, keys: Mapping[str, ItemKey], arm: str
) -> dict[tuple[str, int, int], bool]:
    """Whether one rule covers them, by model, layer and number: the same at each of its sites."""
    own = ((keys[item], yes) for item, yes in answers.items())
    return {
        (key.unit.subject, key.layer, key.unit.index): yes for key, yes in own if key.arm == arm
    }


def group(answers: Judged, keys: Mapping[str, ItemKey], arm: str) -> list[tuple[int, bool]]:
    """The units of one group, each as (layer, whether one rule covers it)."""
    return [(layer, yes) for (_, layer, _), yes in _units(answers, keys, arm).items()]


def compared_groups(
    answers: Judged, keys: Mapping[str, ItemKey], arms: tuple[str, str], seed: int
) -> SharesOfTwo | None:
    """Two groups: those of two models within layers, two sites of one model as pairs of units.

    None where nothing of one of them is judged, or of a model's sites no unit at both.
    """
    first, second = (_units(answers, keys, arm) for arm in arms)
    if {model for model, _, _ in first} == {model for model, _, _ in second}:
        both = sorted(first.keys() & second.keys())
        return compare_pairs([(first[unit], second[unit]) for unit in both]) if both else None
    if not first or not second:
        return None
    groups = ([(layer, yes) for (_, layer, _), yes in own.items()] for own in (first, second))
    return compare_shares(*groups, seed=seed)
