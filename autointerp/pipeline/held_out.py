"""One explanation on held-out windows: its scores, its chance level, and its comparisons."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autointerp.core.explanations import Explanation
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.core.seeds import derive_seed
from autointerp.llm import charge_to
from autointerp.pipeline.unit_input import UnitInput
from autointerp.scorers import Programs, Rules, Scorer, ScoringSet
from autointerp.scorers.adaptive import score_until
from autointerp.scorers.rule_scorers import FreeScorer
from autointerp.scorers.scorer_inputs import judged_windows, predicted_results
from autointerp.scorers.simulation.senses_simulation import SensePlaces, SensesSimulation
from autointerp.statistics.added_value import added_value
from autointerp.statistics.permutation import chance_of_correlation
from autointerp.statistics.population import paired_difference
from autointerp.statistics.scored_windows import ScoredWindows
from autointerp.statistics.token_metrics import token_metrics

Places = tuple[SensePlaces | None, ...]

_NEVER_BOTH = "no window was judged by both"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What held-out windows say of one explanation."""

    explanation: Explanation
    main: ScorerResult
    """Its own result."""
    null: ScorerResult | None
    """The same scorer's result for another unit's explanation; None where there is none."""
    places: Places = ()
    """Where its senses apply in each window, where that was asked; None for a failed trial."""
    beside: ScorerResult | None = None
    """What was scored together with it."""

    @property
    def results(self) -> tuple[ScorerResult, ...]:
        """Both, as labels keep them."""
        return (self.main,) if self.null is None else (self.main, self.null)

    @property
    def beats_chance(self) -> bool:
        """Whether its score's interval is above that of another unit's explanation.

        Above 0 where there is no other to compare with.
        """
        over = self.main.score("over_null" if self.null is not None else "population")
        if over.value is None:
            over = self.main.score("population")
        return over.low is not None and over.low > 0


def is_free(judge: Scorer | None, explanation: Explanation) -> bool:
    """Whether scoring it asks no LLM."""
    by_rules = isinstance(judge, SensesSimulation) and explanation.needs_no_reader
    return explanation.needs_no_llm or by_rules


async def score_held_out(
    inputs: UnitInput,
    judge: Scorer,
    explanation: Explanation,
    windows: ScoringSet,
    *,
    beside: FreeScorer | None = None,
) -> HeldOut:
    """The explanation's scores on these windows, beside another unit's explanation.

    What asks nobody may be scored together with another such scorer, which takes less time.
    """
    windows = inputs.asked_by(judge.name, windows)
    others = _others(inputs, judge, explanation, windows)
    null: ScorerResult | None
    places: Places = ()
    together: ScorerResult | None = None
    if isinstance(judge, FreeScorer):
        main, null, together = _by_program(judge, explanation, others, windows, beside)
    elif isinstance(judge, SensesSimulation) and inputs.config.score_width is None:
        main, null, places = await _from_places(judge, explanation, others[:1], windows)
    else:
        main = await _judged(inputs, judge, explanation, windows)
        null = await _null_result(inputs, judge, others, windows)
    main = _with_token_metrics(inputs, main, windows)
    if null is not None:
        main = main.with_scores(replace(difference(main, null, windows), name="over_null"))
    return HeldOut(explanation, main, null, places, together)


def _by_program(
    judge: FreeScorer,
    explanation: Explanation,
    others: Sequence[Explanation],
    windows: ScoringSet,
    beside: FreeScorer | None,
) -> tuple[ScorerResult, ScorerResult | None, ScorerResult | None]:
    """Its result, that of the first other explanation that predicts anything, and what is beside.

    What costs nothing is tried with several others, on every window.
    """
    predictions = [judge.predict(explanation, windows)]
    tried = (judge.predict(other, windows) for other in others)
    null = next((one for one in tried if one.varies), None)
    if null is None and others:
        null = judge.predict(others[-1], windows)
    predictions += [null] if null is not None else []
    predictions += [beside.predict(explanation, windows)] if beside is not None else []
    main, *results = predicted_results(predictions)
    of_other = replace(results[0], scorer=f"{judge.name}_null") if null is not None else None
    return main, of_other, results[-1] if beside is not None else None


async def _from_places(
    judge: SensesSimulation,
    explanation: Explanation,
    others: Sequence[Explanation],
    windows: ScoringSet,
) -> tuple[ScorerResult, ScorerResult | None, Places]:
    """Both from the same replies, with the places of the explanation's senses."""
    results, replies = await judge.score_together([explanation, *others], windows)
    null = replace(results[1], scorer=f"{judge.name}_null") if others else None
    own = (one[0] for one in replies)
    places = tuple(None if isinstance(one, str) else one for one in own)
    return results[0], null, places


async def _judged(
    inputs: UnitInput, judge: Scorer, explanation: Explanation, windows: ScoringSet
) -> ScorerResult:
    width = inputs.config.score_width
    if width is None:
        return await judge.score(explanation, windows)
    return await score_until(judge, explanation, windows, width=width)


def _with_token_metrics(
    inputs: UnitInput, result: ScorerResult, windows: ScoringSet
) -> ScorerResult:
    """The result with metrics over all tokens and how likely chance reaches its score."""
    part = windows.asked_about(result.trials)
    judged = judged_windows(part, result.trials)
    scores = list(token_metrics(judged, part.strata, part.resampling, peak=part.peak))
    if inputs.config.n_permutations:
        n, seed = inputs.config.n_permutations, derive_seed(windows.seed, "permutations")
        scores.append(
            chance_of_correlation(
                judged, part.strata, n_permutations=n, seed=seed, across_strata=True
            )
        )
    return result.with_scores(*scores)


def _others(
    inputs: UnitInput, judge: Scorer, explanation: Explanation, windows: ScoringSet
) -> tuple[Explanation, ...]:
    """Explanations of other units that the judge can read, in a random order."""
    if not inputs.config.n_null:
        return ()
    # In random order: the nearest unit's would be half right where units are alike.
    seed = derive_seed(inputs.seed, "null", str(windows.unit), windows.side)
    others = random.Random(seed).sample(list(windows.others), len(windows.others))
    if isinstance(judge, Rules):
        return tuple(other for other in others if other.rules)
    if isinstance(judge, Programs):
        return tuple(other for other in others if other.program is not None)
    # What an LLM wrote is compared with what it wrote of another unit, where there is such a text,
    # and one that is found by rules with another such.
    alike = is_free(judge, explanation)
    by_kind = sorted(others, key=lambda o: (o.needs_no_llm, alike and not o.needs_no_reader))
    return tuple(by_kind)[:1]


async def _null_result(
    inputs: UnitInput, judge: Scorer, others: Sequence[Explanation], windows: ScoringSet
) -> ScorerResult | None:
    """Another unit's explanation, about which an LLM is asked like about the unit's own."""
    if not others:
        return None
    with charge_to("null"):
        result = await judge.score(others[0], windows.first(inputs.config.n_null))
    return replace(result, scorer=f"{judge.name}_null")


def difference(main: ScorerResult, other: ScorerResult, windows: ScoringSet) -> Score:
    """How much better the first predicts, on the windows that both were asked about."""
    pair = _on_same_windows(main, other, windows)
    if pair is None:
        return Score.undefined("difference", _NEVER_BOTH)
    part, own, others = pair
    return paired_difference(
        own,
        others,
        part.strata,
        n_bootstrap=windows.n_bootstrap,
        confidence=windows.confidence,
        seed=windows.seed,
    )


def added(main: ScorerResult, table: ScorerResult, windows: ScoringSet) -> Score:
    """How much the first knows beside the token lookup table."""
    pair = _on_same_windows(main, table, windows)
    if pair is None:
        return Score.undefined("added", _NEVER_BOTH)
    part, own, looked_up = pair
    return added_value(own, looked_up, part.strata, part.resampling)


def _on_same_windows(
    main: ScorerResult, other: ScorerResult, windows: ScoringSet
) -> tuple[ScoringSet, ScoredWindows, ScoredWindows] | None:
    """The windows that both judged, with what each predicted there; None where there is none."""
    # The one that was asked less was asked about a part of the other's windows.
    fewer = min((main, other), key=lambda result: result.n_asked)
    part = windows.asked_about(fewer.trials)
    judged = [
        [t.window for t in result.trials if t.predicted is not None] for result in (main, other)
    ]
    both = {*judged[0]} & {*judged[1]} & {record.window for record in part.records}
    if not both:
        return None
    if judged[0] == judged[1] and len(both) == len(main.trials) == len(other.trials):
        return part, judged_windows(part, main.trials), judged_windows(part, other.trials)

    def trials(result: ScorerResult) -> tuple[Trial, ...]:
        in_both = [trial for trial in result.trials if trial.window in both]
        return tuple(sorted(in_both, key=lambda trial: trial.window))

    return part, judged_windows(part, trials(main)), judged_windows(part, trials(other))
