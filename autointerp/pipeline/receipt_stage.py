"""Receipts of an LLM's explanation before it is scored: tried, revised once, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from autointerp.core.explanations import Explanation
from autointerp.core.scores import ScorerResult
from autointerp.llm import charge_to
from autointerp.pipeline.held_out import HeldOut, difference
from autointerp.pipeline.receipts import (
    ReceiptsResult,
    collect_receipts,
    of_kept_senses,
    revised,
    texts_wanted,
)
from autointerp.pipeline.selection import improved
from autointerp.pipeline.unit_input import Selection, Tools, UnitInput
from autointerp.scorers import ScoringSet

_NOT_ASKED = ReceiptsResult.none("the job asks for none")


async def with_receipts(
    inputs: UnitInput, selection: Selection, tools: Tools
) -> tuple[Selection, ReceiptsResult]:
    """The LLM's explanation tried on the subject model; senses that fail are revised once.

    Short texts that fail also mislead: what was revised replaces what was selected only where it
    scores better on validation windows.
    """
    explanation = selection.llm
    if explanation is None or not texts_wanted(inputs.config, tools.llm):
        return selection, _NOT_ASKED
    given = inputs.explain_inputs
    with charge_to("receipts"):
        result = await collect_receipts(
            explanation, given, tools.llm, inputs.config, seed=inputs.seed
        )
        better = await revised(
            explanation, result, given, tools.llm, inputs.config, seed=inputs.seed
        )
    if better.explanation is None:
        return selection, better.receipts
    with_revised = await improved(inputs, tools, selection, better.explanation)
    if with_revised is None or with_revised.llm is None:
        return selection, result.noting("what was revised scored no better on validation windows")
    # Levels that were fitted to it may have dropped senses more.
    receipts = of_kept_senses(better.receipts, better.explanation, with_revised.llm, inputs.config)
    return with_revised, receipts


async def with_margins(
    inputs: UnitInput, tools: Tools, llm: HeldOut, receipts: ReceiptsResult, windows: ScoringSet
) -> HeldOut:
    """The scores with what receipts say, and how much better it does than rewrites of it.

    A broader rewrite and a narrower one are scored on a part of the same windows.
    """
    if receipts is _NOT_ASKED:
        return llm
    main = llm.main.with_scores(receipts.survived)
    notes = (f"receipts: {note}" for note in receipts.notes)
    llm = replace(llm, main=replace(main, notes=(*main.notes, *notes)))
    part = windows.first(inputs.config.n_validation)
    named = {"over_broader": receipts.broader, "over_narrower": receipts.narrower}
    asked = {name: one for name, one in named.items() if one is not None}
    if not asked:
        return llm
    with charge_to("receipts"):
        results = await _results(tools, tuple(asked.values()), part)
    margins = [
        replace(difference(llm.main, result, windows), name=name)
        for name, result in zip(asked, results, strict=True)
    ]
    return replace(llm, main=llm.main.with_scores(*margins))


async def _results(
    tools: Tools, explanations: Sequence[Explanation], windows: ScoringSet
) -> Sequence[ScorerResult]:
    if tools.senses is not None:
        return (await tools.senses.score_together(explanations, windows))[0]
    judged = [(tools.judge(one), one) for one in explanations]
    return [await judge.score(one, windows) for judge, one in judged if judge is not None]
