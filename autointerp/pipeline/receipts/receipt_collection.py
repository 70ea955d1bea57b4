"""An explanation is tried on the subject model: texts are written by it, exemplars edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from autointerp.core.config import ScoreConfig
from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation
from autointerp.core.probe import UnitProbe
from autointerp.core.scores import Score
from autointerp.core.seeds import derive_seed
from autointerp.core.sense_types import Sense, folded
from autointerp.explainers import ExplainInputs
from autointerp.llm import ChatModel
from autointerp.pipeline.receipts.llm_allowance import MOST_TOKENS, LlmAllowance
from autointerp.pipeline.receipts.receipts_result import (
    ReceiptsResult,
    WrittenReceipt,
    failing_senses,
    senses_of,
    with_descriptions,
)
from autointerp.pipeline.receipts.short_runs import MOST_RUNS, ShortRuns
from autointerp.pipeline.receipts.text_trials import TriedTexts, try_texts
from autointerp.pipeline.receipts.tried_exemplars import TriedExemplars, try_exemplars
from autointerp.pipeline.receipts.writing_prompt import (
    reply_tokens,
    spread_texts,
    writing_turns,
)
from autointerp.scorers.written_texts import NO_PROBE
from autointerp.statistics.survival import survival

N_TEXTS = 20


def texts_wanted(config: ScoreConfig, model: ChatModel | None) -> int:
    """Texts that the LLM is to write: none without an LLM, and none of a small one by default."""
    if model is None:
        return 0
    default = 0 if model.features.small else N_TEXTS
    return default if config.n_receipts is None else config.n_receipts


async def collect_receipts(
    explanation: Explanation,
    inputs: ExplainInputs,
    model: ChatModel | None,
    config: ScoreConfig,
    *,
    seed: int,
) -> ReceiptsResult:
    """What trying it came to, with at most 200 short runs and one request to the LLM.

    Where no texts are wanted, exemplars are edited all the same.

    Raises:
        UpstreamError: the LLM could not be used.
    """
    if inputs.probe is None:
        return ReceiptsResult.none(NO_PROBE)
    n = texts_wanted(config, model)
    edits, n_edits = await _edited(inputs, inputs.probe, most=MOST_RUNS - 2 * n, seed=seed)
    tried, allowance = TriedTexts(notes=("the LLM was not asked for texts",)), None
    runs = ShortRuns(inputs.probe, inputs.records, most=n)
    senses: Mapping[int, Sense] = testable_senses(explanation)
    if model is not None and n and not senses:
        tried = TriedTexts(notes=("no sense is strong enough for a text of its own",))
    elif model is not None and n:
        allowance = allowance_of(inputs, model, n, seed=seed)
        n_testable = len(senses)
        senses = _first_that_fit(senses, n, allowance)
        tried = await try_texts(senses, spread_texts(n, len(senses)), inputs, allowance, runs)
        if n_left_out := n_testable - len(senses):
            why = f"senses without texts, as too few tokens are left for the LLM: {n_left_out}"
            tried = replace(tried, notes=(*tried.notes, why))
        if allowance.n_hidden:
            why = f"hidden thoughts of the LLM count towards its tokens: {allowance.n_hidden}"
            tried = replace(tried, notes=(*tried.notes, why))
    return ReceiptsResult(
        survived=survived(tried.written, tried.notes, config),
        written=tried.written,
        edited=edits.receipts,
        needs=edits.needs,
        failing=failing_senses([one.receipt for one in tried.written], len(senses_of(explanation))),
        broader=rewritten(explanation, {i: one.broader for i, one in tried.texts.items()}),
        narrower=rewritten(explanation, {i: one.narrower for i, one in tried.texts.items()}),
        notes=(*tried.notes, *edits.notes),
        n_runs=n_edits + runs.n_run,
        n_tokens=allowance.spent if allowance else 0,
    )


def testable_senses(explanation: Explanation) -> dict[int, Sense]:
    """The senses by which texts can be written, by their place."""
    return {i: sense for i, sense in enumerate(senses_of(explanation)) if sense.is_testable}


def _first_that_fit(
    senses: Mapping[int, Sense], n_texts: int, allowance: LlmAllowance
) -> Mapping[int, Sense]:
    """The senses, without the last ones where texts by all would cost too much; at least one."""
    places = list(senses)
    while len(places) > 1:
        plans = spread_texts(n_texts, len(places))
        turns = writing_turns([senses[place] for place in places], plans)
        if allowance.room(turns) >= reply_tokens(plans):
            break
        places.pop()
    return {place: senses[place] for place in places}


async def _edited(
    inputs: ExplainInputs, probe: UnitProbe, *, most: int, seed: int
) -> tuple[TriedExemplars, int]:
    runs = ShortRuns(probe, inputs.records, most=max(0, most))
    try:
        edits = await try_exemplars(inputs, runs, seed=seed)
    except InputError as error:
        edits = TriedExemplars(notes=(f"no exemplar was edited: {error}",))
    return edits, runs.n_run


def allowance_of(
    inputs: ExplainInputs, model: ChatModel, n_texts: int, *, seed: int, spent: int = 0
) -> LlmAllowance:
    """What may be asked of the LLM about these inputs; more where more than 20 texts are wanted."""
    records = inputs.records
    derived = derive_seed(seed, "receipts", str(records.unit), records.side)
    most = MOST_TOKENS * max(n_texts, N_TEXTS) // N_TEXTS
    return LlmAllowance(model, most=most, seed=derived, fresh=inputs.fresh, spent=spent)


def survived(written: Sequence[WrittenReceipt], notes: Sequence[str], config: ScoreConfig) -> Score:
    """The share of written texts that came out as expected; where none ran, the notes say why."""
    score = survival((one.receipt for one in written), confidence=config.confidence)
    if score.value is None and notes:
        return Score.undefined(score.name, "; ".join(notes))
    return score


def of_kept_senses(
    result: ReceiptsResult, before: Explanation, after: Explanation, config: ScoreConfig
) -> ReceiptsResult:
    """The receipts of an explanation some senses of which were dropped since, by their new places.

    Senses are told by their descriptions.
    """
    now = {sense.description: place for place, sense in enumerate(senses_of(after))}
    places = {
        place: now[sense.description]
        for place, sense in enumerate(senses_of(before))
        if sense.description in now
    }
    if len(places) == len(senses_of(before)):
        return result
    written = tuple(
        replace(one, receipt=replace(one.receipt, sense=places[one.receipt.sense]))
        for one in result.written
        if one.receipt.sense in places
    )

    def rewrite(earlier: Explanation | None) -> Explanation | None:
        lines = enumerate(senses_of(earlier)) if earlier is not None else ()
        return rewritten(after, {places[i]: s.description for i, s in lines if i in places})

    return replace(
        result,
        survived=survived(written, result.notes, config),
        written=written,
        failing=tuple(
            replace(one, sense=places[one.sense]) for one in result.failing if one.sense in places
        ),
        broader=rewrite(result.broader),
        narrower=rewrite(result.narrower),
    )


def rewritten(explanation: Explanation, lines: Mapping[int, str | None]) -> Explanation | None:
    """The explanation with these descriptions of senses, by place; None where none is new."""
    old = [sense.description for sense in senses_of(explanation)]
    new = [lines.get(place) or text for place, text in enumerate(old)]
    # A margin over the same words would be 0 whatever they are worth.
    same = [folded(one) == folded(other) for one, other in zip(old, new, strict=True)]
    texts = [a if equal else b for a, b, equal in zip(old, new, same, strict=True)]
    return None if all(same) else with_descriptions(explanation, texts)
