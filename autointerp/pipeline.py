"""From records to a label: explain, choose on validation windows, score on held-out ones.

No input or output of its own: everything comes in as values and goes out as a label. Explainers
see only explain records, the choice only validation records, scores only held-out ones.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from autointerp.core.config import ScoreConfig
from autointerp.core.explanations import Candidate, Explanation, PromptRef, Provenance
from autointerp.core.labels import Label, LabelStatus
from autointerp.core.probe import UnitProbe
from autointerp.core.records import ActivationRecord, NeuronStats, TokenMeans, UnitSets
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.core.seeds import derive_seed
from autointerp.core.text import TextTokenizer
from autointerp.explainers import Explainer, ExplainEvidence
from autointerp.explainers.token_lookup import most_active_tokens
from autointerp.llm import spending
from autointerp.scorers import (
    Lookup,
    Programs,
    Rules,
    Scorer,
    ScoringSet,
    chance_of_correlation,
    judged_windows,
    paired_difference,
    score_until,
    token_metrics,
)

__all__ = [
    "Case",
    "Chosen",
    "Tools",
    "choose_explanation",
    "dead_label",
    "expected_score",
    "label_case",
]

_N_TOP_TOKENS = 10
# Standard deviation of scores over neurons, measured on SmolLM2-135M: the prior of a choice.
_SPREAD = 0.3
# Rules of rare tokens, none of which occurs on validation windows, were fitted to many explain
# windows all the same. The five of 100 such neurons had 0.02 to 0.51 on held-out windows.
_EXPECTED_OF_RULES = 0.2


@dataclass(frozen=True, slots=True)
class Tools:
    """The explainers and scorers of a job."""

    explainers: tuple[Explainer, ...]
    simulation: Scorer | None
    """Judges explanations in words; None where no LLM is used."""
    further: tuple[Scorer, ...]
    """Scorers that run beside the preferred one on the chosen explanation."""
    prompts: tuple[PromptRef, ...]
    """Every prompt used, explainers first."""

    def judge(self, explanation: Explanation) -> Scorer | None:
        """Who predicts activations from it: a program where it is one, else the LLM."""
        if explanation.program is not None:
            return Programs()
        return Rules() if explanation.rules else self.simulation


@dataclass(frozen=True, slots=True)
class Case:
    """One side of one unit, ready to be labelled."""

    sets: UnitSets
    token_means: TokenMeans
    stats: NeuronStats
    tokenizer: TextTokenizer
    config: ScoreConfig
    seed: int
    fresh_explanations: bool = False
    """It failed before for want of an explanation: explainers ask anew."""
    fresh_trials: bool = False
    """It failed before because no trial could be read: scorers ask anew."""
    negatives: tuple[ActivationRecord, ...] = ()
    """Explain windows that hold the exemplars' tokens and on which the side is silent."""
    promoted: tuple[str, ...] = ()
    """Tokens that the side makes more probable, strongest first."""
    suppressed: tuple[str, ...] = ()
    probe: UnitProbe | None = None
    """Runs texts through the subject model, where it is at hand."""

    @property
    def evidence(self) -> ExplainEvidence:
        """What explainers may see."""
        return ExplainEvidence(
            self.sets.explain,
            self.token_means,
            self.tokenizer,
            fresh=self.fresh_explanations,
            negatives=self.negatives,
            promoted=self.promoted,
            suppressed=self.suppressed,
            probe=self.probe,
        )

    def scoring_set(self, *, held_out: bool, others: Sequence[Explanation] = ()) -> ScoringSet:
        """The validation windows or the held-out ones, with how to score on them."""
        windows = self.sets.held_out if held_out else self.sets.validation
        made = ScoringSet.of(
            windows,
            seed=derive_seed(self.seed, "bootstrap", str(windows.unit), windows.side),
            n_bootstrap=self.config.n_bootstrap,
            confidence=self.config.confidence,
            fresh=self.fresh_trials,
        )
        return replace(made, others=tuple(others), probe=self.probe)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What explaining came to."""

    candidates: tuple[Candidate, ...]
    failures: tuple[str, ...]
    found_no_pattern: bool

    @property
    def explanation(self) -> Explanation | None:
        """The chosen one, None where there is no candidate."""
        return next((c.explanation for c in self.candidates if c.chosen), None)


async def choose_explanation(case: Case, tools: Tools) -> Chosen:
    """Candidates of every explainer, the one with the best expected score chosen."""
    answers = await asyncio.gather(*(e.explain(case.evidence) for e in tools.explainers))
    # A revision repeats the answers it began with: each text once, the first who said it.
    given: dict[str, Explanation] = {}
    for explanation in (e for answer in answers for e in answer.explanations):
        given.setdefault(explanation.text, explanation)
    explanations = list(given.values())
    failures = tuple(failure for answer in answers for failure in answer.failures)
    scores = await asyncio.gather(
        *(_validation_score(case, tools, e, alone=len(explanations) == 1) for e in explanations)
    )
    expected = [
        _EXPECTED_OF_RULES
        if score.value is None and _costs_nothing(explanation)
        else expected_score(score, confidence=case.config.confidence)
        for explanation, score in zip(explanations, scores, strict=True)
    ]
    best = max(range(len(scores)), key=lambda i: (expected[i], -i), default=-1)
    return Chosen(
        tuple(
            Candidate(explanation, score.value, score.reason, chosen=i == best)
            for i, (explanation, score) in enumerate(zip(explanations, scores, strict=True))
        ),
        failures,
        found_no_pattern=any(answer.found_no_pattern for answer in answers),
    )


async def _validation_score(
    case: Case, tools: Tools, explanation: Explanation, *, alone: bool
) -> Score:
    judge = tools.judge(explanation)
    if alone or judge is None:
        return Score.undefined("population", "not tried: there is nothing to choose from")
    windows = case.scoring_set(held_out=False)
    # Rules cost nothing and are tried on every window; an LLM is asked about a few.
    part = windows if _costs_nothing(explanation) else windows.first(case.config.n_validation)
    with spending("choose"):
        result = await judge.score(explanation, part)
    return result.score("population")


def _costs_nothing(explanation: Explanation) -> bool:
    return bool(explanation.rules) or explanation.program is not None


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


async def label_case(
    case: Case,
    chosen: Chosen,
    others: Sequence[Explanation],
    tools: Tools,
    provenance: Provenance,
) -> Label:
    """The label: the chosen explanation scored on held-out windows, beside its baselines.

    Args:
        case: the unit.
        chosen: its explanation.
        others: other units' explanations, for the chance level; nearest unit first.
        tools: explainers and scorers.
        provenance: of the job.
    """
    explanation = chosen.explanation
    judge = tools.judge(explanation) if explanation is not None else None
    if explanation is None or judge is None:
        return _without_explanation(case, chosen, provenance)
    windows = case.scoring_set(held_out=True, others=others)
    asked = windows.first(case.config.n_heldout)
    lookup, main, *further = await asyncio.gather(
        Lookup(case.token_means).score(explanation, windows),
        _judged(case, judge, explanation, windows),
        *(scorer.score(explanation, asked) for scorer in tools.further),
    )
    chance = await _null_result(case, judge, others, windows)
    main = _compared(main, lookup, chance, windows)
    results = (main, lookup, *((chance,) if chance else ()), *further)
    status, reason = _verdict(main)
    return _label(
        case,
        chosen,
        provenance,
        status=status,
        reason=reason,
        results=results,
        preferred=main.scorer,
    )


async def _judged(
    case: Case, judge: Scorer, explanation: Explanation, windows: ScoringSet
) -> ScorerResult:
    """The preferred scorer's result, with metrics over all tokens and its chance level."""
    width = case.config.score_width
    asked = windows if _costs_nothing(explanation) else windows.first(case.config.n_heldout)
    if width is None or _costs_nothing(explanation):
        result = await judge.score(explanation, asked)
    else:
        result = await score_until(judge, explanation, asked, width=width)
    scores = list(result.scores)
    part = asked.asked_about(result.trials)
    judged = judged_windows(part, result.trials).in_order()
    scores += token_metrics(judged, part.strata, part.resampling, peak=part.peak)
    if case.config.n_permutations:
        n, seed = case.config.n_permutations, derive_seed(asked.seed, "permutations")
        scores.append(
            chance_of_correlation(
                judged, part.strata, n_permutations=n, seed=seed, across_strata=True
            )
        )
    return replace(result, scores=tuple(scores))


async def _null_result(
    case: Case, judge: Scorer, others: Sequence[Explanation], windows: ScoringSet
) -> ScorerResult | None:
    """The first other explanation that predicts anything at all, judged like the unit's own."""
    # In random order: the nearest unit's would be half right where units are alike.
    seed = derive_seed(case.seed, "null", str(windows.unit), windows.side)
    others = random.Random(seed).sample(list(others), len(others))
    free = isinstance(judge, Rules | Programs)
    alike = [o for o in others if o.rules] if isinstance(judge, Rules) else list(others)
    if isinstance(judge, Programs):
        alike = [other for other in others if other.program is not None]
    # What costs nothing is tried with several, on every window; an LLM is asked about one.
    usable = alike if free else others[:1]
    # A part of the windows on which the explanation itself was tried.
    asked = windows.first(case.config.n_heldout)
    part = windows if free else asked.first(case.config.n_null)
    result = None
    for other in usable if case.config.n_null else ():
        with spending("null"):
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
        chosen = [trial for trial in result.trials if trial.window in both]
        return tuple(sorted(chosen, key=lambda trial: trial.window))

    return paired_difference(
        judged_windows(part, trials(main)),
        judged_windows(part, trials(other)),
        part.strata,
        n_bootstrap=windows.n_bootstrap,
        confidence=windows.confidence,
        seed=windows.seed,
    )


def _verdict(main: ScorerResult) -> tuple[LabelStatus, str | None]:
    population = main.score("population")
    if population.value is not None:
        return LabelStatus.OK, None
    if main.n_asked and not main.n_judged:
        first = next(trial.failure for trial in main.trials if trial.failure)
        return LabelStatus.FAILED, f"all {main.n_asked} trials failed, the first: {first}"
    return LabelStatus.NO_SIGNAL, f"the score is undefined: {population.reason}"


def _without_explanation(case: Case, chosen: Chosen, provenance: Provenance) -> Label:
    if chosen.found_no_pattern:
        status, reason = LabelStatus.NO_SIGNAL, "the explainer found no single pattern"
    elif chosen.failures:
        status = LabelStatus.FAILED
        reason = f"no explanation could be had: {chosen.failures[0]}"
    else:
        status, reason = LabelStatus.NO_SIGNAL, "no explainer had anything to say"
    return _label(case, chosen, provenance, status=status, reason=reason)


def dead_label(case: Case, reason: str, provenance: Provenance) -> Label:
    """The label of a side that never activates where it would have to."""
    return _label(case, Chosen((), (), False), provenance, status=LabelStatus.DEAD, reason=reason)


def _label(  # noqa: PLR0913 - the parts of a label
    case: Case,
    chosen: Chosen,
    provenance: Provenance,
    *,
    status: LabelStatus,
    reason: str | None,
    results: tuple[ScorerResult, ...] = (),
    preferred: str | None = None,
) -> Label:
    return Label(
        unit=case.sets.explain.unit,
        side=case.sets.explain.side,
        status=status,
        reason=reason,
        explanation=chosen.explanation,
        candidates=chosen.candidates,
        results=results,
        preferred=preferred,
        stats=case.stats,
        top_tokens=_top_tokens(case),
        provenance=provenance,
        failures=chosen.failures,
        promoted=case.promoted,
        suppressed=case.suppressed,
    )


def _top_tokens(case: Case) -> tuple[str, ...]:
    # One lucky occurrence says little: means are drawn towards the overall mean.
    best = most_active_tokens(case.token_means, _N_TOP_TOKENS)
    return case.tokenizer.pieces(best)
