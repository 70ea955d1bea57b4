"""Senses that their receipts speak against are described anew, once, and tried again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from autointerp.core.config import ScoreConfig
from autointerp.core.explanations import Explanation
from autointerp.core.senses import Sense
from autointerp.explainers import ExplainInputs
from autointerp.llm import ChatModel
from autointerp.llm.answers import NoAnswerError
from autointerp.pipeline.receipts.llm_allowance import LlmAllowance
from autointerp.pipeline.receipts.receipt_collection import (
    allowance_of,
    rewritten,
    survived,
    texts_wanted,
)
from autointerp.pipeline.receipts.receipts_result import (
    FailedSense,
    ReceiptsResult,
    failing_senses,
    senses_of,
    with_descriptions,
)
from autointerp.pipeline.receipts.revising_prompt import (
    read_descriptions,
    revising_schema,
    revising_template,
    revising_tokens,
    revising_turns,
)
from autointerp.pipeline.receipts.short_runs import MOST_RUNS, ShortRuns
from autointerp.pipeline.receipts.text_trials import TriedTexts, try_texts
from autointerp.pipeline.receipts.writing_prompt import (
    TOKENS_A_TEXT,
    reply_tokens,
    spread_texts,
    writing_turns,
)

_FEWEST_TEXTS = 4
"""Texts for each sense that is tried again: two of either kind, as fewer decide nothing."""


@dataclass(frozen=True, slots=True)
class RevisedSenses:
    """What revising the failing senses of an explanation came to."""

    explanation: Explanation | None
    """With new words for the senses that got some; None where none did."""
    receipts: ReceiptsResult
    """Of that explanation; where there is none, of the one that was given."""


async def revised(
    explanation: Explanation,
    found: ReceiptsResult,
    inputs: ExplainInputs,
    model: ChatModel | None,
    config: ScoreConfig,
    *,
    seed: int,
) -> RevisedSenses:
    """Describes the failing senses anew, their receipts in hand, and tries those again.

    One request for all of them, and one for texts by the new descriptions where the tokens that
    are left allow it. A sense stays among the failing ones, with the reason, where it got no new
    description, could not be tried again, or fails again.

    Raises:
        UpstreamError: the LLM could not be used.
    """
    if not found.failing or model is None or inputs.probe is None:
        return RevisedSenses(None, found)
    if explanation.needs_no_llm:
        return RevisedSenses(None, found.noting("not revised: the explanation is no text"))
    n = texts_wanted(config, model)
    allowance = allowance_of(inputs, model, n, seed=seed, spent=found.n_tokens)
    new, notes = await _described(explanation, found, inputs, allowance)
    if not new:
        return RevisedSenses(None, replace(found.noting(*notes), n_tokens=allowance.spent))
    senses = senses_of(explanation)
    lines = [new.get(i, sense.description) for i, sense in enumerate(senses)]
    better = replace(
        with_descriptions(explanation, lines),
        model=model.name,
        prompt=revising_template().ref,
        temperature=0.0,
    )
    runs = ShortRuns(inputs.probe, inputs.records, most=MOST_RUNS - found.n_runs)
    changed = {i: senses_of(better)[i] for i in new}
    tried = await _tried_again(changed, n, inputs, allowance, runs)
    receipts = replace(
        _merged(found, better, tried, new),
        notes=(*found.notes, *notes, *tried.notes),
        n_runs=found.n_runs + runs.n_run,
        n_tokens=allowance.spent,
    )
    score = survived(receipts.written, receipts.notes, config)
    return RevisedSenses(better, replace(receipts, survived=score))


async def _described(
    explanation: Explanation, found: ReceiptsResult, inputs: ExplainInputs, allowance: LlmAllowance
) -> tuple[Mapping[int, str], tuple[str, ...]]:
    """New descriptions of failing senses, by place, and notes."""
    n, turns = len(found.failing), revising_turns(explanation, found, inputs.records)
    max_tokens = revising_tokens(n)
    if allowance.room(turns) < max_tokens:
        return {}, (f"not revised: {allowance.left} tokens are left for the LLM",)
    try:
        answer = await allowance.answer(turns, max_tokens=max_tokens, schema=revising_schema(n))
        lines = read_descriptions(answer, n)
    except NoAnswerError as error:
        return {}, (f"not revised: {error}",)
    known = {sense.description.casefold() for sense in senses_of(explanation)}
    new: dict[int, str] = {}
    for failed, line in zip(found.failing, lines, strict=True):
        if line is not None and line.casefold() not in known:
            new[failed.sense] = line
            known.add(line.casefold())
    n_old = n - len(new)
    return new, (f"senses for which the LLM found no other description: {n_old}",) if n_old else ()


async def _tried_again(
    senses: Mapping[int, Sense],
    n_texts: int,
    inputs: ExplainInputs,
    allowance: LlmAllowance,
    runs: ShortRuns,
) -> TriedTexts:
    """Texts by the new descriptions, as many as fit."""
    least = _FEWEST_TEXTS * len(senses)
    plans = spread_texts(least, len(senses))
    spare = allowance.room(writing_turns(tuple(senses.values()), plans))
    spare -= reply_tokens(plans)
    if spare < 0 or runs.n_left < least:
        return TriedTexts(
            notes=(f"not tried again: {allowance.left} tokens and {runs.n_left} runs are left",)
        )
    n = min(least + spare // TOKENS_A_TEXT, runs.n_left, max(least, n_texts))
    return await try_texts(senses, spread_texts(n, len(senses)), inputs, allowance, runs)


def _merged(
    found: ReceiptsResult, better: Explanation, tried: TriedTexts, new: Collection[int]
) -> ReceiptsResult:
    """The receipts of the senses that stayed and of the new ones, by sense."""
    kept = [one for one in found.written if one.receipt.sense not in new]
    written = sorted([*kept, *tried.written], key=lambda one: one.receipt.sense or 0)
    receipts = [one.receipt for one in tried.written]
    again = {one.sense: one for one in failing_senses(receipts, len(senses_of(better)))}
    failing = []
    for failed in found.failing:
        if failed.sense not in new:
            more = "no other description was found"
        elif sum(r.sense == failed.sense for r in receipts) < _FEWEST_TEXTS:
            more = "described anew and not tried again"
        elif failed.sense in again:
            more = f"described anew, {again[failed.sense].reason}"
        else:
            continue
        failing.append(FailedSense(failed.sense, f"{failed.reason}; {more}"))
    broader = {i: tried.texts[i].broader for i in new if i in tried.texts}
    narrower = {i: tried.texts[i].narrower for i in new if i in tried.texts}
    return replace(
        found,
        written=tuple(written),
        failing=tuple(failing),
        broader=rewritten(better, _lines(found.broader, new) | broader),
        narrower=rewritten(better, _lines(found.narrower, new) | narrower),
    )


def _lines(rewrite: Explanation | None, new: Collection[int]) -> dict[int, str | None]:
    """The descriptions of an earlier rewrite that still stand."""
    senses = senses_of(rewrite) if rewrite is not None else ()
    return {i: sense.description for i, sense in enumerate(senses) if i not in new}
