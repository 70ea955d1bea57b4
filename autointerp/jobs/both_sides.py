"""The score of a unit's two labels together, where both sides of zero are labelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import Label, LabelStatus
from autointerp.core.scores import Score
from autointerp.jobs.cases import Target
from autointerp.pipeline import Case, Tools
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.two_sided_score import JudgedSide, both_sides_score, put_to
from autointerp.store.labels import UnitStore


async def score_both_sides(
    unit: UnitId, cases: Mapping[Target, Case], store: UnitStore, tools: Tools
) -> bool:
    """Adds ``both_sides`` to both labels of a unit; False where there are not two to score.

    Each side's explanation is tried on the other side's windows too.

    Raises:
        UpstreamError: the LLM could not be used.
    """
    labels = [store.get_label(unit, side) for side in (Side.POSITIVE, Side.NEGATIVE)]
    known = [label for label in labels if label is not None and _is_scored(label)]
    if len(known) < len(labels) or any(Target(unit, side) not in cases for side in Side):
        return False
    own = [_asked(label, cases[Target(unit, label.side)]) for label in known]
    sides = [
        await _judged(label, windows, other, tools)
        for label, windows, other in zip(known, own, reversed(own), strict=True)
    ]
    score = both_sides_score(sides[0], sides[1])
    for label in known:
        store.put_label(_with(label, score))
    return True


def _is_scored(label: Label) -> bool:
    return label.status is LabelStatus.OK and label.explanation is not None


def _asked(label: Label, case: Case) -> ScoringSet:
    main = label.result(label.preferred or "")
    return case.scoring_set(held_out=True).asked_about(main.trials if main else ())


async def _judged(label: Label, own: ScoringSet, other: ScoringSet, tools: Tools) -> JudgedSide:
    main = label.result(label.preferred or "")
    judge = tools.judge(label.explanation) if label.explanation is not None else None
    if main is None or judge is None or label.explanation is None:
        return JudgedSide.of(own, ())
    more = await put_to(judge, label.explanation, own, other)
    return JudgedSide.of(own, (main, more))


def _with(label: Label, score: Score) -> Label:
    results = tuple(
        replace(result, scores=(*result.scores, score))
        if result.scorer == label.preferred
        else result
        for result in label.results
    )
    return replace(label, results=results)
