"""Which of several explanations becomes the label: the one expected to score best."""

from __future__ import annotations

import asyncio
import math
from statistics import NormalDist

from autointerp.core.explanations import Candidate, Explanation
from autointerp.core.scores import Score
from autointerp.llm import charge_to
from autointerp.pipeline.unit_input import Selection, Tools, UnitInput, needs_no_llm

# Standard deviation of scores over neurons, measured on SmolLM2-135M: the prior of a choice.
_SPREAD = 0.3
# Rules of rare tokens, none of which occurs on validation windows, were fitted to many explain
# windows all the same. The five of 100 such neurons had 0.02 to 0.51 on held-out windows.
_EXPECTED_OF_RULES = 0.2


async def select_explanation(inputs: UnitInput, tools: Tools) -> Selection:
    """Candidates of every explainer, the one with the best expected score selection."""
    answers = await asyncio.gather(*(e.explain(inputs.explain_inputs) for e in tools.explainers))
    # A revision repeats the answers it began with: each text once, the first who said it.
    given: dict[str, Explanation] = {}
    for explanation in (e for answer in answers for e in answer.explanations):
        given.setdefault(explanation.text, explanation)
    explanations = list(given.values())
    failures = tuple(failure for answer in answers for failure in answer.failures)
    scores = await asyncio.gather(
        *(_validation_score(inputs, tools, e, alone=len(explanations) == 1) for e in explanations)
    )
    expected = [
        _EXPECTED_OF_RULES
        if score.value is None and needs_no_llm(explanation)
        else expected_score(score, confidence=inputs.config.confidence)
        for explanation, score in zip(explanations, scores, strict=True)
    ]
    best = max(range(len(scores)), key=lambda i: (expected[i], -i), default=-1)
    return Selection(
        tuple(
            Candidate(explanation, score.value, score.reason, chosen=i == best)
            for i, (explanation, score) in enumerate(zip(explanations, scores, strict=True))
        ),
        failures,
        found_no_pattern=any(answer.found_no_pattern for answer in answers),
    )


async def _validation_score(
    inputs: UnitInput, tools: Tools, explanation: Explanation, *, alone: bool
) -> Score:
    judge = tools.judge(explanation)
    if alone or judge is None:
        return Score.undefined("population", "not tried: there is nothing to choose from")
    windows = inputs.asked_by(judge.name, inputs.scoring_set(held_out=False))
    # Rules cost nothing and are tried on every window; an LLM is asked about a few.
    part = windows if needs_no_llm(explanation) else windows.first(inputs.config.n_validation)
    with charge_to("choose"):
        result = await judge.score(explanation, part)
    return result.score("population")


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
