"""Which of several explanations becomes the label: the one expected to score best."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from autointerp.core.explanations import Candidate, Explanation
from autointerp.core.scores import Score
from autointerp.llm import charge_to
from autointerp.pipeline.fitted_senses import fit_senses
from autointerp.pipeline.unit_input import Selection, Tools, UnitInput
from autointerp.scorers import Scorer

# Standard deviation of scores over neurons, measured on SmolLM2-135M: the prior of a choice.
_SPREAD = 0.3
# Rules of rare tokens, none of which occurs on validation windows, were fitted to many explain
# windows all the same. The five of 100 such neurons had 0.02 to 0.51 on held-out windows.
_EXPECTED_OF_RULES = 0.2


async def select_explanation(inputs: UnitInput, tools: Tools) -> Selection:
    """Candidates of every explainer, and the best of an LLM's and of the others'."""
    answers = await asyncio.gather(*(e.explain(inputs.explain_inputs) for e in tools.explainers))
    # A revision repeats the answers it began with: each once, the first who said it.
    given: dict[tuple[object, ...], Explanation] = {}
    for explanation in (e for answer in answers for e in answer.explanations):
        given.setdefault(explanation.content, explanation)
    written = [e for e in given.values() if not e.is_mechanical]
    others = [e for e in given.values() if e.is_mechanical]
    compared = bool(written and others) and (
        inputs.describe == "better" or any(_has_levels(inputs, tools, e) for e in written)
    )
    by_llm, by_rules = await asyncio.gather(
        _tried(inputs, tools, written, compared=compared),
        _tried(inputs, tools, others, compared=compared),
    )
    best_llm, best_rules = _best(by_llm), _best(by_rules)
    # Levels that were fitted may have changed an explanation since.
    tried_of = dict(zip((*written, *others), (*by_llm, *by_rules), strict=True))
    tried = [tried_of[explanation] for explanation in given.values()]
    selection = Selection(
        tuple(Candidate(t.explanation, t.score.value, t.score.reason, chosen=False) for t in tried),
        tuple(failure for answer in answers for failure in answer.failures),
        found_no_pattern=any(answer.found_no_pattern for answer in answers),
        llm=best_llm.explanation if best_llm else None,
        rules=best_rules.explanation if best_rules else None,
        rules_are_better=bool(
            best_rules and (best_llm is None or best_rules.expected > best_llm.expected)
        ),
        describe=inputs.describe,
    )
    return replace(selection, candidates=selection.choosing(selection.explanation))


@dataclass(frozen=True, slots=True)
class _Tried:
    explanation: Explanation
    score: Score
    """On validation windows."""
    expected: float
    """Score that it is expected to have on other windows."""


async def _tried(
    inputs: UnitInput, tools: Tools, explanations: Sequence[Explanation], *, compared: bool
) -> list[_Tried]:
    """Explanations of one kind on validation windows, all on the same.

    Compared with those of the other kind, on the windows about which an LLM is asked.
    """
    few = compared or not all(e.needs_no_llm for e in explanations)
    needed = compared or len(explanations) > 1

    async def tried(explanation: Explanation) -> _Tried:
        judge = tools.judge(explanation)
        if judge is None or not (needed or _has_levels(inputs, tools, explanation)):
            score = Score.undefined("population", "not tried: there is nothing to choose from")
        else:
            explanation, score = await _on_validation(inputs, tools, judge, explanation, few=few)
        expected = (
            _EXPECTED_OF_RULES
            if score.value is None and explanation.needs_no_llm
            else expected_score(score, confidence=inputs.config.confidence)
        )
        return _Tried(explanation, score, expected)

    return list(await asyncio.gather(*map(tried, explanations)))


async def improved(
    inputs: UnitInput, tools: Tools, selection: Selection, revised: Explanation
) -> Selection | None:
    """The selection with what was revised, if it is expected to score better than the LLM's.

    By the same validation windows; without a score of both nothing is better.
    """
    if selection.llm is None:
        return None
    earlier, better = await _tried(inputs, tools, [selection.llm, revised], compared=False)
    if None in (earlier.score.value, better.score.value) or better.expected <= earlier.expected:
        return None
    return replace(selection, llm=better.explanation)


def _has_levels(inputs: UnitInput, tools: Tools, explanation: Explanation) -> bool:
    """Whether validation windows have to say how its senses compare."""
    fits = inputs.config.fit_levels and tools.senses is not None
    return fits and len(explanation.senses) > 1


async def _on_validation(
    inputs: UnitInput, tools: Tools, judge: Scorer, explanation: Explanation, *, few: bool
) -> tuple[Explanation, Score]:
    """The explanation, with levels fitted where it has several, and its score."""
    windows = inputs.asked_by(judge.name, inputs.scoring_set(held_out=False))
    windows = windows.first(inputs.config.n_validation) if few else windows
    with charge_to("choose"):
        if tools.senses is not None and _has_levels(inputs, tools, explanation):
            return await fit_senses(tools.senses, explanation, windows)
        return explanation, (await judge.score(explanation, windows)).score("population")


def _best(tried: Sequence[_Tried]) -> _Tried | None:
    return max(tried, key=lambda one: one.expected, default=None)


def expected_score(score: Score, *, confidence: float) -> float:
    """What the score is expected to be on other windows, -2 where it is undefined.

    Not the value itself: of several values that six windows gave, the greatest is mostly luck.
    Nor the lower end of the interval: a prediction that hardly varies has a narrow interval
    around 0, which would win over every wide one that says something.
    """
    if score.value is None:
        return -2.0
    error = 1 / math.sqrt(max(1, score.n_windows))
    if score.low is not None and score.high is not None:
        error = (score.high - score.low) / (2 * NormalDist().inv_cdf((1 + confidence) / 2))
    return score.value * _SPREAD**2 / (_SPREAD**2 + error**2)
