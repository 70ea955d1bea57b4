"""Explainers see explain records, the choice validation records, scores held-out ones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from factories import make_provenance, make_sets, make_stats, make_unit

from autointerp.core.config import Describe, ScoreConfig
from autointerp.core.explanations import Explanation, Label, LabelStatus, PromptRef, TokenRule
from autointerp.core.records import ActivationRecord, TokenMeans
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.core.sense_types import Sense
from autointerp.explainers import ExplainInputs
from autointerp.explainers.explainer import Explained
from autointerp.pipeline import (
    Selection,
    Tools,
    UnitInput,
    dead_label,
    expected_score,
    label_unit,
    select_explanation,
)
from autointerp.scorers import ScoringSet
from autointerp.scorers.scorer_inputs import predicted_scores


class Letters:
    """A tokenizer whose tokens are letters."""

    name, bos_id = "letters", None

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(chr(i) for i in token_ids)


SETS = make_sets()
WINDOWS = {
    "explain": {r.window for r in SETS.explain.records},
    "validation": {r.window for r in SETS.validation.records},
    "held out": {r.window for r in SETS.held_out.records},
}


def said(text: str) -> Explanation:
    return Explanation(text, "spy", "m", None, 0.0, 0)


@dataclass
class SpyExplainer:
    texts: tuple[str, ...]
    failures: tuple[str, ...] = ()
    found_no_pattern: bool = False
    name: str = "spy"
    seen: list[ExplainInputs] = field(default_factory=list)

    async def explain(self, inputs: ExplainInputs) -> Explained:
        self.seen.append(inputs)
        found = tuple(said(text) for text in self.texts)
        return Explained(found, self.failures, self.found_no_pattern)


@dataclass
class SpyScorer:
    """Predicts the truth for "good", half of it upside down for others, nothing for "lost"."""

    name: str = "simulation"
    prompts: tuple[PromptRef, ...] = ()
    asked: list[tuple[str, frozenset[int]]] = field(default_factory=list)
    failure: str = "it was lost"

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        self.asked.append((explanation.text, frozenset(r.window for r in windows.records)))
        trials = tuple(self._trial(explanation.text, r, windows) for r in windows.records)
        scores = predicted_scores(windows, trials)
        return ScorerResult(self.name, explanation.text, scores, trials)

    def _trial(self, text: str, record: ActivationRecord, windows: ScoringSet) -> Trial:
        real = record.side(windows.side)
        predicted = None if text == "lost" else real if text == "good" else real[::-1]
        failure = self.failure if predicted is None else None
        return Trial(record.window, record.stratum, record.weight, predicted, None, None, failure)


CASE = UnitInput(
    sets=SETS,
    token_means=TokenMeans({1: 2.0, 2: 0.1}, {1: 5, 2: 50}, 0.2),
    stats=make_stats(),
    tokenizer=Letters(),
    config=ScoreConfig(n_bootstrap=100, n_null=2),
    seed=0,
)


def tools(explainer: SpyExplainer, scorer: SpyScorer) -> Tools:
    return Tools((explainer,), scorer, (), ())


def chosen_of(explainer: SpyExplainer, scorer: SpyScorer) -> Selection:
    return asyncio.run(select_explanation(CASE, tools(explainer, scorer)))


def labelled(explainer: SpyExplainer, scorer: SpyScorer, *others: Explanation) -> Label:
    async def both() -> Label:
        made = tools(explainer, scorer)
        chosen = await select_explanation(CASE, made)
        return await label_unit(CASE, chosen, others, made, make_provenance())

    return asyncio.run(both())


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (
            "spy answer 0: refused: http://x refused the request (451) (it says: gesperrt)",
            "refused: no explanation could be had: spy answer 0: http://x refused the request "
            "(451) (it says: gesperrt)",
        ),
        (
            "spy answer 0: the reply is a refusal: 'As an AI'",
            "refused: no explanation could be had: spy answer 0: the reply is a refusal: "
            "'As an AI'",
        ),
        (
            "spy answer 0: the reply is not JSON with a text: 'x: refused: no'",
            "no explanation could be had: spy answer 0: the reply is not JSON with a text: "
            "'x: refused: no'",
        ),
    ],
)
def test_a_label_whose_llm_refused_says_so_first(failure: str, reason: str) -> None:
    label = labelled(SpyExplainer((), (failure,)), SpyScorer())
    assert (label.status, label.reason) == (LabelStatus.FAILED, reason)
    assert label.refused == reason.startswith("refused: ")


def test_a_label_whose_scorer_was_refused_says_so_first() -> None:
    scorer = SpyScorer(failure="refused: by a filter")
    label = labelled(SpyExplainer(("lost",)), scorer)
    assert label.status is LabelStatus.FAILED
    assert label.refused
    assert (label.reason or "").startswith("refused: all ")
    assert (label.reason or "").endswith("the first: by a filter")


def test_the_three_sets_share_no_window() -> None:
    assert sum(map(len, WINDOWS.values())) == len(set().union(*WINDOWS.values()))


def test_an_explainer_is_given_explain_records_and_nothing_else() -> None:
    spy = SpyExplainer(("good",))
    labelled(spy, SpyScorer())
    assert [{r.window for r in e.records.records} for e in spy.seen] == [WINDOWS["explain"]]


def test_candidates_are_compared_on_validation_windows_only() -> None:
    scorer = SpyScorer()
    chosen = chosen_of(SpyExplainer(("bad", "good", "worse")), scorer)
    assert chosen.explanation == said("good")
    assert [c.chosen for c in chosen.candidates] == [False, True, False]
    assert {windows for _, windows in scorer.asked} == {frozenset(WINDOWS["validation"])}


def test_only_the_chosen_one_is_asked_about_held_out_windows() -> None:
    scorer = SpyScorer()
    label = labelled(SpyExplainer(("bad", "good")), scorer)
    on_held_out = [text for text, windows in scorer.asked if windows & WINDOWS["held out"]]
    assert on_held_out == ["good"]
    assert label.headline.value == pytest.approx(1.0, abs=1e-9)
    assert {t.window for t in label.results[0].trials} == WINDOWS["held out"]


def test_a_single_candidate_costs_no_question_to_choose() -> None:
    scorer = SpyScorer()
    chosen = chosen_of(SpyExplainer(("good",)), scorer)
    assert scorer.asked == []
    assert chosen.candidates[0].reason == "not tried: there is nothing to choose from"


def test_the_chance_level_is_another_units_explanation_on_held_out_windows() -> None:
    scorer = SpyScorer()
    label = labelled(SpyExplainer(("good",)), scorer, said("of another"), said("of a third"))
    null = label.result("simulation_null")
    assert null is not None
    assert null.explanation == "of another"
    assert {t.window for t in null.trials} <= WINDOWS["held out"]
    assert len(null.trials) == 2
    assert label.score("simulation", "over_null").name == "over_null"


def test_without_another_unit_there_is_no_chance_level_and_the_label_stands() -> None:
    label = labelled(SpyExplainer(("good",)), SpyScorer())
    assert label.status is LabelStatus.OK
    assert label.result("simulation_null") is None
    assert label.score("simulation_null").reason == "simulation_null did not run"


def test_every_label_says_how_much_better_than_the_lookup_table_it_is() -> None:
    label = labelled(SpyExplainer(("good",)), SpyScorer())
    assert [r.scorer for r in label.results] == ["simulation", "lookup"]
    over, lookup = label.score("simulation", "over_lookup"), label.score("lookup")
    assert over.value is not None
    assert over.value == pytest.approx(1.0 - (lookup.value or 0.0), abs=1e-9)


def test_trials_that_all_failed_fail_the_label_with_the_first_reason() -> None:
    label = labelled(SpyExplainer(("lost",)), SpyScorer())
    assert label.status is LabelStatus.FAILED
    assert label.reason == "all 3 trials failed, the first: it was lost"
    assert label.headline.value is None
    assert label.score("simulation", "over_lookup").reason == "no window was judged by both"


@pytest.mark.parametrize(
    ("explainer", "status", "reason"),
    [
        (SpyExplainer((), found_no_pattern=True), LabelStatus.NO_SIGNAL, "no single pattern"),
        (SpyExplainer((), ("cut off",)), LabelStatus.FAILED, "could be had: cut off"),
        (SpyExplainer(()), LabelStatus.NO_SIGNAL, "no explainer had anything to say"),
    ],
)
def test_a_unit_without_explanation_says_why(
    explainer: SpyExplainer, status: LabelStatus, reason: str
) -> None:
    label = labelled(explainer, SpyScorer())
    assert label.status is status
    assert reason in (label.reason or "")
    assert label.results == ()


def test_failures_that_decided_nothing_are_kept_beside_an_ok_label() -> None:
    label = labelled(SpyExplainer(("good",), ("answer 1: empty",)), SpyScorer())
    assert label.status is LabelStatus.OK
    assert label.failures == ("answer 1: empty",)


def test_a_dead_label_has_its_reason_and_no_score() -> None:
    case = replace(CASE, sets=make_sets(make_unit(7)))
    label = dead_label(case, "it never activates", make_provenance())
    assert (label.status, label.reason) == (LabelStatus.DEAD, "it never activates")
    assert label.unit == make_unit(7)
    assert label.headline.value is None


def test_a_narrow_good_score_is_preferred_to_a_wide_slightly_better_one() -> None:
    wide = Score("population", 0.5, -0.5, 0.9, 6, None)
    narrow = Score("population", 0.4, 0.3, 0.5, 40, None)
    nothing = Score("population", 0.01, 0.0, 0.02, 40, None)
    ranked = [expected_score(score, confidence=0.95) for score in (nothing, wide, narrow)]
    assert ranked == sorted(ranked)
    assert ranked[2] == pytest.approx(0.4, abs=0.02)
    assert expected_score(Score.undefined("population", "why"), confidence=0.95) == -2


def test_rules_of_tokens_that_no_validation_window_has_are_not_given_up_for_noise() -> None:
    rare = TokenRule((999,), "rare", 1.0, 0.5)
    rules = replace(said("rules"), model=None, rules=(rare,))

    class Both(SpyExplainer):
        async def explain(self, inputs: ExplainInputs) -> Explained:
            return Explained((said("bad"), rules), (), False)

    case = replace(CASE, describe="better")
    found = asyncio.run(select_explanation(case, tools(Both(()), SpyScorer())))
    assert found.candidates[1].validation_score is None
    assert found.explanation is not None
    assert found.explanation.text == "rules"


def test_a_unit_that_failed_before_is_asked_anew_where_it_failed() -> None:
    spy, scorer = SpyExplainer(("good",)), SpyScorer()
    case = replace(CASE, fresh_explanations=True)
    asyncio.run(select_explanation(case, tools(spy, scorer)))
    assert [inputs.fresh for inputs in spy.seen] == [True]
    windows = case.scoring_set(held_out=True)
    assert not case.asked_by("detection", windows).fresh
    again = replace(CASE, fresh_scorers=frozenset({"detection"}))
    assert again.asked_by("detection", windows).fresh
    assert not again.asked_by("simulation", windows).fresh


def test_explanations_of_one_text_with_other_rules_or_levels_are_compared() -> None:
    program = "10: token ~ /a/"
    given = [
        replace(said("bad"), senses=(Sense("bad", 3.0), Sense("worse", 2.0))),
        replace(said("bad"), senses=(Sense("bad", 3.0), Sense("worse", 2.0, program=program))),
        replace(said("bad"), senses=(Sense("bad", 9.0), Sense("worse", 2.0))),
        replace(said("bad"), senses=(Sense("bad", 3.0), Sense("worse", 2.0)), sample=1),
    ]

    class Same(SpyExplainer):
        async def explain(self, inputs: ExplainInputs) -> Explained:
            return Explained(tuple(given), (), False)

    class ByLevel(SpyScorer):
        async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
            best = replace(said("good"), senses=explanation.senses)
            right = explanation.senses[0].level == 9.0
            return await super().score(best if right else explanation, windows)

    found = asyncio.run(select_explanation(CASE, tools(Same(()), ByLevel())))
    assert [c.explanation for c in found.candidates] == given[:3]
    assert [c.chosen for c in found.candidates] == [False, False, True]
    assert found.llm == given[2]


RULES = replace(said("rules"), model=None, rules=(TokenRule((1,), "one", 2.0, 0.5),))


class BothKinds(SpyExplainer):
    """An LLM's texts beside rules that no LLM wrote."""

    async def explain(self, inputs: ExplainInputs) -> Explained:
        found = await super().explain(inputs)
        return replace(found, explanations=(*found.explanations, RULES))


def with_rules(text: str, describe: Describe = "llm") -> Label:
    case = replace(CASE, describe=describe)
    made = tools(BothKinds((text,)), SpyScorer())

    async def both() -> Label:
        chosen = await select_explanation(case, made)
        return await label_unit(case, chosen, (said("else"),), made, make_provenance())

    return asyncio.run(both())


def test_the_llms_explanation_and_the_rules_are_both_scored_on_the_same_windows() -> None:
    label = with_rules("good")
    assert label.llm is not None
    assert label.rules is not None
    assert (label.llm.explanation.text, label.rules.explanation) == ("good", RULES)
    by_llm, by_rules = label.result(label.llm.scorer), label.result(label.rules.scorer)
    assert by_llm is not None
    assert by_rules is not None
    assert [t.window for t in by_llm.trials] == [t.window for t in by_rules.trials]
    assert by_llm.score("over_rules").value is not None
    assert by_llm.score("over_lookup").value is not None


def test_the_llms_explanation_describes_a_unit_where_it_scores_above_anothers() -> None:
    label = with_rules("good")
    assert label.explanation is not None
    assert label.explanation.text == "good"
    assert (label.preferred, label.headline.value) == ("simulation", pytest.approx(1.0))
    assert [c.chosen for c in label.candidates] == [True, False]


def test_rules_describe_it_where_the_llms_does_not_and_both_scores_stay() -> None:
    label = with_rules("bad")
    assert label.explanation == RULES
    assert label.preferred == "rules"
    assert [c.chosen for c in label.candidates] == [False, True]
    assert label.score_of(label.llm).value is not None


def test_rules_describe_a_unit_where_the_job_says_so() -> None:
    assert with_rules("good", "rules").explanation == RULES


def test_the_better_of_the_two_is_told_by_the_same_validation_windows() -> None:
    good, bad = with_rules("good", "better"), with_rules("bad", "better")
    assert good.explanation is not None
    assert good.explanation.text == "good"
    assert bad.explanation == RULES


def test_an_llms_explanation_whose_questions_all_failed_fails_the_label_beside_rules() -> None:
    label = with_rules("lost", "rules")
    assert label.status is LabelStatus.FAILED
    assert label.reason == "simulation: all 3 trials failed, the first: it was lost"
    assert label.explanation == RULES


def test_what_the_llms_explanation_adds_to_the_token_table_stands_beside_its_null() -> None:
    label = with_rules("good")
    assert label.llm is not None
    added = label.score_of(label.llm, "added")
    assert (added.value or 0.0) > 0
    null = label.score(f"{label.llm.scorer}_null", "added")
    assert null.name == "added"
