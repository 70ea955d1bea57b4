"""The label of a unit's side: its explanation scored on held-out windows, beside its baselines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import (
    Explanation,
    Label,
    LabelStatus,
    Provenance,
    ScoredExplanation,
)
from autointerp.core.scores import ScorerResult
from autointerp.core.sense_types import SenseScore
from autointerp.core.unit_evidence import Absent, Measure, Quantity, UnitEvidence
from autointerp.explainers.token_lookup import most_active_tokens
from autointerp.llm.wrapped_model import refused_first
from autointerp.pipeline.fitted_senses import sense_scores
from autointerp.pipeline.held_out import HeldOut, added, difference, is_free, score_held_out
from autointerp.pipeline.receipt_stage import with_margins, with_receipts
from autointerp.pipeline.receipts import ReceiptsResult
from autointerp.pipeline.unit_input import Selection, Tools, UnitInput
from autointerp.scorers import Lookup, ScoringSet

_N_TOP_TOKENS = 10


async def label_unit(
    inputs: UnitInput,
    selection: Selection,
    others: Sequence[Explanation],
    tools: Tools,
    provenance: Provenance,
) -> Label:
    """The label: the LLM's explanation and the rules scored on held-out windows, beside baselines.

    The LLM's is tried on the subject model first. The others are explanations of other units, for
    the chance level; the nearest unit's first.
    """
    selection, receipts = await with_receipts(inputs, selection, tools)
    written = (selection.llm, selection.rules)
    scoreable = [e for e in written if e is not None and tools.judge(e) is not None]
    if not scoreable:
        return _without_explanation(inputs, selection, provenance)
    windows = inputs.scoring_set(held_out=True, others=others)
    n_null = inputs.config.n_null
    # What is compared is scored on the same windows; alone, what costs nothing takes them all.
    is_free = _asks_nobody(scoreable, others, tools, n_null=n_null)
    asked = windows if is_free and not tools.further else windows.first(inputs.config.n_heldout)
    same = windows if is_free else asked
    table = Lookup(inputs.token_means)
    further, scored = await asyncio.gather(
        _further(inputs, tools, scoreable[0], asked),
        _scored(inputs, tools, scoreable, same, table),
    )
    lookup = next((one.beside for one in scored if one.beside is not None), None)
    lookup = lookup or await table.score(scoreable[0], same)
    llm = next((one for one in scored if one.explanation is selection.llm), None)
    rules = next((one for one in scored if one.explanation is selection.rules), None)
    llm, rules = _compared(llm, rules, lookup, same)
    senses: tuple[SenseScore, ...] = ()
    if llm is not None:
        llm = await with_margins(inputs, tools, llm, receipts, same)
        llm, senses = _with_senses(llm, receipts, same)
    best = _describing(selection, llm, rules)
    status, reason = _verdict(best, llm, further)
    own = [result for one in (best, llm, rules) if one is not None for result in one.results]
    return _label(
        inputs,
        selection,
        provenance,
        status=status,
        reason=reason,
        results=tuple({result.scorer: result for result in (*own, lookup, *further)}.values()),
        best=best,
        llm=llm,
        rules=rules,
        receipts=receipts,
        senses=senses,
    )


def _asks_nobody(
    scoreable: Sequence[Explanation], others: Sequence[Explanation], tools: Tools, *, n_null: int
) -> bool:
    """Whether scoring these, beside another unit's, asks no LLM."""
    in_words = [explanation for explanation in scoreable if not explanation.needs_no_llm]
    # Without a chance level no other unit's is asked about.
    alike = not (others and n_null) or any(other.needs_no_reader for other in others)
    return not in_words or (alike and all(is_free(tools.judge(e), e) for e in in_words))


async def _scored(
    inputs: UnitInput,
    tools: Tools,
    explanations: Sequence[Explanation],
    windows: ScoringSet,
    table: Lookup,
) -> list[HeldOut]:
    judged = [(tools.judge(explanation), explanation) for explanation in explanations]
    return await asyncio.gather(
        *(
            score_held_out(inputs, judge, e, windows, beside=table)
            for judge, e in judged
            if judge is not None
        )
    )


async def _further(
    inputs: UnitInput, tools: Tools, explanation: Explanation, asked: ScoringSet
) -> tuple[ScorerResult, ...]:
    scoring = (s.score(explanation, inputs.asked_by(s.name, asked)) for s in tools.further)
    return tuple(await asyncio.gather(*scoring))


def _compared(
    llm: HeldOut | None, rules: HeldOut | None, lookup: ScorerResult, windows: ScoringSet
) -> tuple[HeldOut | None, HeldOut | None]:
    """Both with the differences to the lookup table; of the LLM's also what it adds to that."""
    if rules is not None:
        over = replace(difference(rules.main, lookup, windows), name="over_lookup")
        rules = replace(rules, main=rules.main.with_scores(over))
    if llm is None:
        return None, rules
    scores = [
        replace(difference(llm.main, lookup, windows), name="over_lookup"),
        added(llm.main, lookup, windows),
    ]
    if rules is not None:
        scores.append(replace(difference(llm.main, rules.main, windows), name="over_rules"))
    null = llm.null
    if null is not None:
        null = null.with_scores(added(null, lookup, windows))
    return replace(llm, main=llm.main.with_scores(*scores), null=null), rules


def _with_senses(
    llm: HeldOut, receipts: ReceiptsResult, windows: ScoringSet
) -> tuple[HeldOut, tuple[SenseScore, ...]]:
    """The scores with how much of the activation the senses explain, and those of each sense."""
    if not llm.places:
        return llm, ()
    explained, scores = sense_scores(llm.explanation, llm.places, windows)
    if explained is not None:
        llm = replace(llm, main=llm.main.with_scores(explained))
    doubted = (replace(score, doubt=receipts.doubt(i)) for i, score in enumerate(scores))
    return llm, tuple(doubted)


def _describing(selection: Selection, llm: HeldOut | None, rules: HeldOut | None) -> HeldOut:
    """The one that describes the unit, by the job's rule."""
    one = llm or rules
    if one is None:
        raise AutointerpError("neither an LLM's explanation nor rules were scored")
    if llm is None or rules is None:
        return one
    if selection.describe == "better":
        return rules if selection.rules_are_better else llm
    return llm if selection.describe == "llm" and llm.beats_chance else rules


def _verdict(
    best: HeldOut, llm: HeldOut | None, further: Sequence[ScorerResult]
) -> tuple[LabelStatus, str | None]:
    for result in (best.main, *((llm.main,) if llm else ()), *further):
        if result.failure is not None:
            name = "" if result is best.main else f"{result.scorer}: "
            return LabelStatus.FAILED, refused_first(f"{name}{result.failure}")
    population = best.main.score("population")
    if population.value is not None:
        return LabelStatus.OK, None
    return LabelStatus.NO_SIGNAL, f"the score is undefined: {population.reason}"


def _without_explanation(inputs: UnitInput, selection: Selection, provenance: Provenance) -> Label:
    if selection.found_no_pattern:
        status, reason = LabelStatus.NO_SIGNAL, "the explainer found no single pattern"
    elif selection.failures:
        status = LabelStatus.FAILED
        reason = refused_first(f"no explanation could be had: {selection.failures[0]}")
    else:
        status, reason = LabelStatus.NO_SIGNAL, "no explainer had anything to say"
    return _label(inputs, selection, provenance, status=status, reason=reason)


def dead_label(inputs: UnitInput, reason: str, provenance: Provenance) -> Label:
    """The label of a side that never activates where it would have to."""
    return _label(
        inputs, Selection((), (), False), provenance, status=LabelStatus.DEAD, reason=reason
    )


def _with_token_share(
    evidence: UnitEvidence | None, results: Sequence[ScorerResult]
) -> UnitEvidence | None:
    """With how much of the variance the token table explains, by its score on held-out text."""
    table = next((result for result in results if result.scorer == "lookup"), None)
    if evidence is None or table is None:
        return evidence
    score, quantity = table.score("population"), Quantity.TOKEN_SHARE
    if score.value is None:
        return evidence.with_measures([Measure(quantity, None, absent=Absent.NOT_SCORED)])
    # A table that predicts the opposite explains nothing.
    value, low, high = (
        max(0.0, r if r is not None else score.value) ** 2
        for r in (score.value, score.low, score.high)
    )
    return evidence.with_measures([Measure.of(quantity, value, interval=(low, high))])


def _label(  # noqa: PLR0913 - the parts of a label
    inputs: UnitInput,
    selection: Selection,
    provenance: Provenance,
    *,
    status: LabelStatus,
    reason: str | None,
    results: tuple[ScorerResult, ...] = (),
    best: HeldOut | None = None,
    llm: HeldOut | None = None,
    rules: HeldOut | None = None,
    receipts: ReceiptsResult | None = None,
    senses: tuple[SenseScore, ...] = (),
) -> Label:
    chosen = best.explanation if best is not None else selection.explanation
    results = tuple(result.as_kept for result in results)
    return Label(
        unit=inputs.sets.explain.unit,
        side=inputs.sets.explain.side,
        status=status,
        reason=reason,
        explanation=chosen,
        candidates=selection.choosing(chosen),
        results=results,
        preferred=best.main.scorer if best is not None else None,
        stats=inputs.stats,
        top_tokens=_top_tokens(inputs),
        provenance=provenance,
        failures=selection.failures,
        promoted=inputs.promoted,
        suppressed=inputs.suppressed,
        promoted_values=inputs.promoted_values,
        suppressed_values=inputs.suppressed_values,
        evidence=_with_token_share(inputs.evidence, results),
        llm=_named(llm),
        rules=_named(rules),
        sense_scores=senses,
        receipts=receipts.receipts if receipts is not None else (),
        needs=receipts.needs if receipts is not None else (),
    )


def _named(one: HeldOut | None) -> ScoredExplanation | None:
    return None if one is None else ScoredExplanation(one.explanation, one.main.scorer)


def _top_tokens(inputs: UnitInput) -> tuple[str, ...]:
    # One lucky occurrence says little: means are drawn towards the overall mean.
    best = most_active_tokens(inputs.token_means, _N_TOP_TOKENS)
    return inputs.tokenizer.pieces(best)
