"""The label of a unit's side: its explanation scored on held-out windows, beside its baselines."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

from autointerp.core.explanations import Explanation, Label, LabelStatus, Provenance
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.core.seeds import derive_seed
from autointerp.explainers.token_lookup import most_active_tokens
from autointerp.llm import charge_to
from autointerp.pipeline.unit_input import Selection, Tools, UnitInput, needs_no_llm
from autointerp.scorers import Lookup, Programs, Rules, Scorer, ScoringSet
from autointerp.scorers.adaptive import score_until
from autointerp.scorers.scorer_inputs import judged_windows
from autointerp.statistics.permutation import chance_of_correlation
from autointerp.statistics.population import paired_difference
from autointerp.statistics.token_metrics import token_metrics

_N_TOP_TOKENS = 10


async def label_unit(
    inputs: UnitInput,
    selection: Selection,
    others: Sequence[Explanation],
    tools: Tools,
    provenance: Provenance,
) -> Label:
    """The label: the chosen explanation scored on held-out windows, beside its baselines.

    The others are those of other units, for the chance level; the nearest unit's first.
    """
    explanation = selection.explanation
    judge = tools.judge(explanation) if explanation is not None else None
    if explanation is None or judge is None:
        return _without_explanation(inputs, selection, provenance)
    windows = inputs.scoring_set(held_out=True, others=others)
    asked = windows.first(inputs.config.n_heldout)
    lookup, main, *further = await asyncio.gather(
        Lookup(inputs.token_means).score(explanation, windows),
        _judged(inputs, judge, explanation, windows),
        *(s.score(explanation, inputs.asked_by(s.name, asked)) for s in tools.further),
    )
    by_judge = inputs.asked_by(judge.name, windows)
    chance = await _null_result(inputs, judge, others, by_judge)
    main = _compared(main, lookup, chance, windows)
    results = (main, lookup, *((chance,) if chance else ()), *further)
    status, reason = _verdict(main, further)
    return _label(
        inputs,
        selection,
        provenance,
        status=status,
        reason=reason,
        results=results,
        preferred=main.scorer,
    )


async def _judged(
    inputs: UnitInput, judge: Scorer, explanation: Explanation, windows: ScoringSet
) -> ScorerResult:
    """The preferred scorer's result, with metrics over all tokens and its chance level."""
    width = inputs.config.score_width
    windows = inputs.asked_by(judge.name, windows)
    asked = windows if needs_no_llm(explanation) else windows.first(inputs.config.n_heldout)
    if width is None or needs_no_llm(explanation):
        result = await judge.score(explanation, asked)
    else:
        result = await score_until(judge, explanation, asked, width=width)
    scores = list(result.scores)
    part = asked.asked_about(result.trials)
    judged = judged_windows(part, result.trials).in_order()
    scores += token_metrics(judged, part.strata, part.resampling, peak=part.peak)
    if inputs.config.n_permutations:
        n, seed = inputs.config.n_permutations, derive_seed(asked.seed, "permutations")
        scores.append(
            chance_of_correlation(
                judged, part.strata, n_permutations=n, seed=seed, across_strata=True
            )
        )
    return replace(result, scores=tuple(scores))


async def _null_result(
    inputs: UnitInput, judge: Scorer, others: Sequence[Explanation], windows: ScoringSet
) -> ScorerResult | None:
    """The first other explanation that predicts anything at all, judged like the unit's own."""
    # In random order: the nearest unit's would be half right where units are alike.
    seed = derive_seed(inputs.seed, "null", str(windows.unit), windows.side)
    others = random.Random(seed).sample(list(others), len(others))
    free = isinstance(judge, Rules | Programs)
    alike = [o for o in others if o.rules] if isinstance(judge, Rules) else list(others)
    if isinstance(judge, Programs):
        alike = [other for other in others if other.program is not None]
    # What costs nothing is tried with several, on every window; an LLM is asked about one.
    usable = alike if free else others[:1]
    # A part of the windows on which the explanation itself was tried.
    asked = windows.first(inputs.config.n_heldout)
    part = windows if free else asked.first(inputs.config.n_null)
    result = None
    for other in usable if inputs.config.n_null else ():
        with charge_to("null"):
            result = await judge.score(other, part)
        if result.score("population").value is not None:
            break
    return None if result is None else replace(result, scorer=f"{judge.name}_null")


def _compared(
    main: ScorerResult, lookup: ScorerResult, null: ScorerResult | None, windows: ScoringSet
) -> ScorerResult:
    scores = [replace(_difference(main, lookup, windows), name="over_lookup")]
    if null is not None:
        scores.append(replace(_difference(main, null, windows), name="over_null"))
    return replace(main, scores=(*main.scores, *scores))


def _difference(main: ScorerResult, other: ScorerResult, windows: ScoringSet) -> Score:
    # The one that was asked less was asked about a part of the other's windows.
    fewer = min((main, other), key=lambda result: result.n_asked)
    part = windows.asked_about(fewer.trials)
    both = {t.window for t in main.trials if t.predicted is not None} & {
        t.window for t in other.trials if t.predicted is not None
    }
    both &= {record.window for record in part.records}
    if not both:
        return Score.undefined("difference", "no window was judged by both")

    def trials(result: ScorerResult) -> tuple[Trial, ...]:
        in_both = [trial for trial in result.trials if trial.window in both]
        return tuple(sorted(in_both, key=lambda trial: trial.window))

    return paired_difference(
        judged_windows(part, trials(main)),
        judged_windows(part, trials(other)),
        part.strata,
        n_bootstrap=windows.n_bootstrap,
        confidence=windows.confidence,
        seed=windows.seed,
    )


def _verdict(main: ScorerResult, further: Sequence[ScorerResult]) -> tuple[LabelStatus, str | None]:
    if main.failure is not None:
        return LabelStatus.FAILED, main.failure
    for result in further:
        if result.failure is not None:
            return LabelStatus.FAILED, f"{result.scorer}: {result.failure}"
    population = main.score("population")
    if population.value is not None:
        return LabelStatus.OK, None
    return LabelStatus.NO_SIGNAL, f"the score is undefined: {population.reason}"


def _without_explanation(inputs: UnitInput, selection: Selection, provenance: Provenance) -> Label:
    if selection.found_no_pattern:
        status, reason = LabelStatus.NO_SIGNAL, "the explainer found no single pattern"
    elif selection.failures:
        status = LabelStatus.FAILED
        reason = f"no explanation could be had: {selection.failures[0]}"
    else:
        status, reason = LabelStatus.NO_SIGNAL, "no explainer had anything to say"
    return _label(inputs, selection, provenance, status=status, reason=reason)


def dead_label(inputs: UnitInput, reason: str, provenance: Provenance) -> Label:
    """The label of a side that never activates where it would have to."""
    return _label(
        inputs, Selection((), (), False), provenance, status=LabelStatus.DEAD, reason=reason
    )


def _label(  # noqa: PLR0913 - the parts of a label
    inputs: UnitInput,
    selection: Selection,
    provenance: Provenance,
    *,
    status: LabelStatus,
    reason: str | None,
    results: tuple[ScorerResult, ...] = (),
    preferred: str | None = None,
) -> Label:
    return Label(
        unit=inputs.sets.explain.unit,
        side=inputs.sets.explain.side,
        status=status,
        reason=reason,
        explanation=selection.explanation,
        candidates=selection.candidates,
        results=results,
        preferred=preferred,
        stats=inputs.stats,
        top_tokens=_top_tokens(inputs),
        provenance=provenance,
        failures=selection.failures,
        promoted=inputs.promoted,
        suppressed=inputs.suppressed,
    )


def _top_tokens(inputs: UnitInput) -> tuple[str, ...]:
    # One lucky occurrence says little: means are drawn towards the overall mean.
    best = most_active_tokens(inputs.token_means, _N_TOP_TOKENS)
    return inputs.tokenizer.pieces(best)
