"""Senses that their receipts speak against are described anew, once, and tried again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from autointerp.core.config import ScoreConfig
from autointerp.core.explanations import Explanation
from autointerp.core.sense_types import Sense, SenseKind, folded
from autointerp.explainers import ExplainInputs
from autointerp.explainers.excerpts import Turns
from autointerp.explainers.prompting import again_turns
from autointerp.llm import ChatModel
from autointerp.llm.answers import NoAnswerError
from autointerp.pipeline.receipts.llm_allowance import LlmAllowance
from autointerp.pipeline.receipts.receipt_collection import (
    allowance_of,
    of_kept_senses,
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
    Revisions,
    read_revisions,
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
    """With new words for the senses that got some, without those that were dropped; None where
    all stay as they were."""
    receipts: ReceiptsResult
    """Of that explanation; where there is none, of the one that was given."""


async def revised(
    explanation: Explanation,
    result: ReceiptsResult,
    inputs: ExplainInputs,
    model: ChatModel | None,
    config: ScoreConfig,
    *,
    seed: int,
) -> RevisedSenses:
    """Describes the failing senses anew or drops them, their receipts in hand, and tries the new.

    One request for all of them for which no windows speak, asked again where descriptions are too
    long, and one for texts by the new ones, where the tokens that are left allow it. Where every
    sense would be dropped, none is. A sense stays among the failing ones, with the reason, where
    it got no new description, could not be tried again, or fails again.

    Raises:
        UpstreamError: the LLM could not be used.
    """
    if not result.failing or model is None or inputs.probe is None:
        return RevisedSenses(None, result)
    if explanation.needs_no_llm:
        return RevisedSenses(None, result.noting("not revised: the explanation is not in words"))
    asked = replace(
        result, failing=tuple(f for f in result.failing if not f.predicts_on_validation)
    )
    if not asked.failing:
        return RevisedSenses(
            None,
            result.noting("not revised: rules of failed senses predict on validation windows"),
        )
    n = texts_wanted(config, model)
    allowance = allowance_of(inputs, model, n, seed=seed, spent=result.n_tokens)
    revisions = await _described(explanation, asked, inputs, allowance)
    new = revisions.new
    if not (new or revisions.dropped):
        return RevisedSenses(
            None, replace(result.noting(*revisions.notes), n_tokens=allowance.spent)
        )
    senses = senses_of(explanation)
    lines = [new.get(i, sense.description) for i, sense in enumerate(senses)]
    better = replace(
        with_descriptions(explanation, lines),
        model=model.name,
        prompt=revising_template().ref,
        temperature=0.0,
    )
    runs = ShortRuns(inputs.probe, inputs.records, most=MOST_RUNS - result.n_runs)
    changed = {i: senses_of(better)[i] for i in new}
    n_tried = len({one.receipt.sense for one in result.written})
    n = n * len(new) // max(1, n_tried)
    tried = await _tried_again(changed, n, inputs, allowance, runs) if new else TriedTexts()
    receipts = replace(
        _merged(result, better, tried, new),
        notes=(*result.notes, *revisions.notes, *tried.notes),
        n_runs=result.n_runs + runs.n_run,
        n_tokens=allowance.spent,
    )
    score = survived(receipts.written, receipts.notes, config)
    receipts = replace(receipts, survived=score)
    left = with_descriptions(
        better, [None if i in revisions.dropped else line for i, line in enumerate(lines)]
    )
    return RevisedSenses(left, of_kept_senses(receipts, better, left, config))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the LLM said of failing senses, by their place."""

    new: Mapping[int, str]
    dropped: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


async def _described(
    explanation: Explanation, result: ReceiptsResult, inputs: ExplainInputs, allowance: LlmAllowance
) -> _Answer:
    n, turns = len(result.failing), revising_turns(explanation, result, inputs.records)
    max_tokens = revising_tokens(n)
    if allowance.room(turns) < max_tokens:
        return _Answer({}, notes=(f"not revised: {allowance.left} tokens are left for the LLM",))
    try:
        revisions = await _asked(turns, n, allowance)
    except NoAnswerError as error:
        return _Answer({}, notes=(f"not revised: {error}",))
    senses = senses_of(explanation)
    dropped = frozenset(result.failing[i].sense for i in revisions.dropped)
    if all(i in dropped or s.kind is SenseKind.MIXED for i, s in enumerate(senses)):
        return _Answer({}, notes=("not revised: the LLM would drop all there is",))
    known = {folded(sense.description) for sense in senses}
    new: dict[int, str] = {}
    for failed, line in zip(result.failing, revisions.descriptions, strict=True):
        if line is not None and folded(line) not in known:
            new[failed.sense] = line
            known.add(folded(line))
    notes = [f"dropped, as no description fits: {senses[i].description}" for i in sorted(dropped)]
    if n_old := n - len(new) - len(dropped):
        notes.append(f"senses for which the LLM found no other description: {n_old}")
    notes += [revisions.note] if revisions.note else []
    return _Answer(new, dropped, tuple(notes))


async def _asked(turns: Turns, n: int, allowance: LlmAllowance) -> Revisions:
    """What the LLM says; where descriptions are too long, it is told which and asked again.

    Raises:
        NoAnswerError: its first answer cannot be read.
    """
    max_tokens, schema = revising_tokens(n), revising_schema(n)
    answer = await allowance.answer(turns, max_tokens=max_tokens, schema=schema)
    revisions = read_revisions(answer, n)
    if revisions.too_long is None:
        return revisions

    def fits(more: Turns) -> bool:
        return allowance.room((*turns, *more)) >= max_tokens

    again = (*turns, *again_turns(revisions.too_long, answer, fits))
    if allowance.room(again) < max_tokens:
        why = f"not asked again, as {allowance.left} tokens are left: {revisions.too_long}"
        return replace(revisions, note=why)
    try:
        answer = await allowance.answer(again, max_tokens=max_tokens, schema=schema)
        return revisions.filled_by(read_revisions(answer, n))
    except NoAnswerError:
        return revisions


async def _tried_again(
    senses: Mapping[int, Sense],
    n_texts: int,
    inputs: ExplainInputs,
    allowance: LlmAllowance,
    runs: ShortRuns,
) -> TriedTexts:
    """Texts by the new descriptions, as many as there were by the old ones where they fit."""
    least = _FEWEST_TEXTS * len(senses)
    plans = spread_texts(least, len(senses))
    spare = allowance.room(writing_turns(tuple(senses.values()), plans))
    spare -= reply_tokens(plans)
    if spare < 0 or runs.n_left < least:
        return TriedTexts(
            notes=(f"not tried again: {allowance.left} tokens and {runs.n_left} runs are left",)
        )
    wanted = max(least, n_texts)
    n = min(least + spare // TOKENS_A_TEXT, runs.n_left, wanted)
    tried = await try_texts(senses, spread_texts(n, len(senses)), inputs, allowance, runs)
    if n == wanted:
        return tried
    why = f"tried again on {n} texts, not {wanted}, as too few tokens or runs are left"
    return replace(tried, notes=(*tried.notes, why))


def _merged(
    result: ReceiptsResult,
    better: Explanation,
    tried: TriedTexts,
    new: Collection[int],
) -> ReceiptsResult:
    """The receipts of the senses that stayed and of the new ones, by sense."""
    stayed = [one for one in result.written if one.receipt.sense not in new]
    written = sorted([*stayed, *tried.written], key=lambda one: one.receipt.sense or 0)
    receipts = [one.receipt for one in tried.written]
    again = {one.sense: one for one in failing_senses(receipts, len(senses_of(better)))}
    failing = []
    for failed in result.failing:
        if failed.predicts_on_validation:
            failing.append(failed)
            continue
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
        result,
        written=tuple(written),
        failing=tuple(failing),
        broader=rewritten(better, _lines(result.broader, new) | broader),
        narrower=rewritten(better, _lines(result.narrower, new) | narrower),
    )


def _lines(rewrite: Explanation | None, new: Collection[int]) -> dict[int, str | None]:
    """The descriptions of an earlier rewrite that still stand."""
    senses = senses_of(rewrite) if rewrite is not None else ()
    return {i: sense.description for i, sense in enumerate(senses) if i not in new}
