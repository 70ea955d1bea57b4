"""Receipts of an LLM's explanation before it is scored: tried, revised once, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from autointerp.core.config import ScoreConfig
from autointerp.core.explanations import Explanation
from autointerp.core.scores import ScorerResult
from autointerp.llm import ChatModel, charge_to
from autointerp.pipeline.fitted_senses import sense_scores
from autointerp.pipeline.held_out import HeldOut, difference
from autointerp.pipeline.receipts import (
    LlmAllowance,
    Measuring,
    ReceiptsResult,
    allowance_of,
    collect_receipts,
    of_kept_senses,
    revised,
    texts_wanted,
)
from autointerp.pipeline.selection import improved
from autointerp.pipeline.unit_input import Selection, Tools, UnitInput
from autointerp.scorers import ScoringSet

_FEWEST_WINDOWS = 4
"""Windows below which a margin says nothing."""
_USUAL = 1 / 8
"""Part of the tokens that a reply about senses may take which it takes at most as a rule."""
_NOT_ASKED = ReceiptsResult.none("the job asks for none")


async def with_receipts(
    inputs: UnitInput, selection: Selection, tools: Tools
) -> tuple[Selection, ReceiptsResult]:
    """The LLM's explanation tried on the subject model; senses that fail are revised once.

    Short texts that fail also mislead: what was revised replaces what was selected only where it
    scores better on validation windows.
    """
    explanation, config = selection.llm, inputs.config
    if explanation is None or not texts_wanted(config, tools.llm):
        return selection, _NOT_ASKED
    given = inputs.explain_inputs
    with charge_to("receipts"):
        result = await collect_receipts(explanation, given, tools.llm, config, seed=inputs.seed)
        result = await _with_validation(inputs, tools, explanation, result)
        better = await revised(explanation, result, given, tools.llm, config, seed=inputs.seed)
    if better.explanation is None:
        return selection, better.receipts
    with_revised = await improved(inputs, tools, selection, better.explanation)
    if with_revised is None or with_revised.llm is None:
        result = result.noting("what was revised scored no better on validation windows")
        return selection, replace(result, n_tokens=better.receipts.n_tokens)
    # Levels that were fitted to it may have dropped senses more.
    receipts = of_kept_senses(better.receipts, better.explanation, with_revised.llm, inputs.config)
    return with_revised, receipts


async def _with_validation(
    inputs: UnitInput, tools: Tools, explanation: Explanation, result: ReceiptsResult
) -> ReceiptsResult:
    """With failing senses marked without which the explanation predicts worse on other windows.

    Validation windows are looked at where rules alone predict, which asks nobody.
    """
    # Such a sense is seldom described better: of 28 explanations of the example dictionary in
    # which some were, 21 scored no better, and 13 of 30 failing senses gain on held-out windows.
    if tools.senses is None or not (result.failing and explanation.needs_no_reader):
        return result
    windows = inputs.scoring_set(held_out=False)
    places = [one[0] for one in await tools.senses.places([explanation], windows)]
    judged = [None if isinstance(one, str) else one for one in places]
    _, scores = sense_scores(explanation, judged, windows)
    gains = [score.gain.value or 0.0 for score in scores] or [0.0] * len(explanation.senses)
    failing = (replace(one, predicts_on_validation=gains[one.sense] > 0) for one in result.failing)
    return replace(result, failing=tuple(failing))


async def with_margins(
    inputs: UnitInput, tools: Tools, llm: HeldOut, receipts: ReceiptsResult, windows: ScoringSet
) -> HeldOut:
    """The scores with what receipts say, and how much better it does than rewrites of it.

    A broader rewrite and a narrower one are scored on a part of the same windows.
    """
    if receipts is _NOT_ASKED or tools.llm is None:
        return llm
    main = llm.main.with_scores(receipts.survived)
    notes = (f"receipts: {note}" for note in receipts.notes)
    llm = replace(llm, main=replace(main, notes=(*main.notes, *notes)))
    named = {"over_broader": receipts.broader, "over_narrower": receipts.narrower}
    asked = {name: one for name, one in named.items() if one is not None}
    if not asked or tools.simulation is None:
        return llm
    allowance = allowance_of(
        inputs.explain_inputs,
        tools.llm,
        texts_wanted(inputs.config, tools.llm),
        seed=inputs.seed,
        spent=receipts.n_tokens,
    )
    part = await _affordable(tools, tuple(asked.values()), windows, inputs.config, allowance)
    if part is None:
        why = f"receipts: rewrites were not scored: {allowance.left} tokens are left for the LLM"
        return replace(llm, main=replace(llm.main, notes=(*llm.main.notes, why)))
    with charge_to("receipts"):
        results = await _results(tools.asking(allowance.counting), tuple(asked.values()), part)
    margins = [
        replace(difference(llm.main, result, windows), name=name)
        for name, result in zip(asked, results, strict=True)
    ]
    return replace(llm, main=llm.main.with_scores(*margins))


async def _affordable(
    tools: Tools,
    rewrites: Sequence[Explanation],
    windows: ScoringSet,
    config: ScoreConfig,
    allowance: LlmAllowance,
) -> ScoringSet | None:
    """As many windows as there are tokens left to score rewrites on; None where that is too few."""
    for n in sorted({config.n_validation, *range(_FEWEST_WINDOWS, config.n_validation, 2)})[::-1]:
        part = windows.first(n)
        asked: list[Measuring] = []

        def measuring(model: ChatModel, asked: list[Measuring] = asked) -> ChatModel:
            asked.append(Measuring(model, usual=_USUAL if tools.senses is not None else 1.0))
            return asked[-1]

        await _results(tools.asking(measuring), rewrites, part)
        if sum(one.n_tokens for one in asked) <= allowance.left:
            return part
    return None


async def _results(
    tools: Tools, explanations: Sequence[Explanation], windows: ScoringSet
) -> Sequence[ScorerResult]:
    if tools.senses is not None:
        return (await tools.senses.score_together(explanations, windows))[0]
    judged = [(tools.judge(one), one) for one in explanations]
    return [await judge.score(one, windows) for judge, one in judged if judge is not None]
