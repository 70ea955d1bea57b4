"""A label with senses, rules beside the LLM's explanation, and receipts."""

from __future__ import annotations

from dataclasses import replace

from factories import make_label, make_results

from autointerp.core.explanations import Explanation, Label, PromptRef, ScoredExplanation, TokenRule
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.core.sense_types import (
    Receipt,
    ReceiptKind,
    Sense,
    SenseKind,
    SenseScore,
    senses_text,
)

NEEDS = "needs ' Anglo' before '-'"
SENSES = (
    Sense('hyphen or "and" that joins two paired names', 8.0, SenseKind.PHRASE, 3.1),
    Sense("the piece ' Austro' of a longer word", 5.0, SenseKind.PIECE, 1.7),
    Sense("texts about treaties between states", 2.0, SenseKind.TOPIC, 0.2),
)


def make_llm_explanation(senses: tuple[Sense, ...] = SENSES) -> Explanation:
    """What an LLM said of a side, a sense each."""
    prompt = PromptRef("explain_senses", "v1", "5e75e50000000000")
    return Explanation(senses_text(senses), "senses", "reader-1", prompt, 0.0, 0, senses=senses)


def make_rules() -> Explanation:
    """Two tokens with what they predict, written without an LLM."""
    rules = (TokenRule((1,), "-", 2.5, 0.4), TokenRule((2,), " and", 0.75, 0.1))
    text = 'the token "-"; the token " and"'
    return Explanation(text, "token_lookup", None, None, None, 0, rules=rules)


def make_sense_scores() -> tuple[SenseScore, ...]:
    """One for each of `SENSES`; the last is doubtful and its gain has no value."""
    return (
        _sense(0.5, 0.2, 41),
        _sense(0.2, 0.05, 12),
        SenseScore(
            Score("mass", 0.02, 0.0, 0.06, 12, None),
            Score.undefined("gain", "the sense applies nowhere else", n_windows=12),
            3,
            doubt="2 of 4 receipts failed, before and after it was revised",
        ),
    )


def make_receipts() -> tuple[Receipt, ...]:
    """20 with an expectation, 17 of which are met, and a shortened exemplar without one."""
    positive, near = ReceiptKind.POSITIVE, ReceiptKind.NEAR_MISS
    met = [Receipt(positive, n % 3, f"The Anglo-Saxon kings, {n}", True, 7.5) for n in range(8)]
    met += [Receipt(near, n % 3, f"A well-known king, {n}", False, 0.25) for n in range(6)]
    edits = (
        Receipt(ReceiptKind.DELETED, 0, " the-Saxon", False, 0.5, "without ' Anglo'"),
        Receipt(ReceiptKind.SAME_KIND, 0, " Franco-Saxon", True, 6.0, "' Anglo' -> ' Franco'"),
        Receipt(ReceiptKind.STRANGER, 0, " lamp-Saxon", False, 0.0, "' Anglo' -> ' lamp'"),
    )
    failed = (
        Receipt(positive, 2, "The treaty of Vienna was signed by both states.", True, 0.75),
        Receipt(near, 2, "A treaty-bound state", False, 4.5),
        Receipt(ReceiptKind.STRANGER, 1, " lamp-Hungarian", False, 12.5, "' Austro' -> ' lamp'"),
    )
    shortened = Receipt(ReceiptKind.SHORTENED, 0, " Anglo-", None, 9.0, "7 tokens cut")
    return (*met, *edits, *failed, shortened)


def make_sense_label(**changes: object) -> Label:
    """A label whose description is the LLM's; keyword arguments replace its fields."""
    explanation, rules = make_llm_explanation(), make_rules()
    made = replace(
        make_label(),
        explanation=explanation,
        candidates=(),
        results=(_llm_result(explanation.text), _null(), _rules_result(rules.text), _lookup()),
        llm=ScoredExplanation(explanation, "simulation"),
        rules=ScoredExplanation(rules, "rules"),
        sense_scores=make_sense_scores(),
        receipts=make_receipts(),
        needs=(NEEDS,),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def _sense(mass: float, gain: float, n_places: int) -> SenseScore:
    return SenseScore(
        Score("mass", mass, mass - 0.1, mass + 0.1, 12, None),
        Score("gain", gain, gain - 0.03, gain + 0.03, 12, None),
        n_places,
    )


def _llm_result(text: str) -> ScorerResult:
    simulated = make_results()[0]
    trials = (replace(simulated.trials[0], senses=(-1, 0, 1, -1)), *simulated.trials[1:])
    scores = (
        *simulated.scores,
        Score("added", 0.06, 0.02, 0.1, 2, None),
        Score("over_rules", 0.04, -0.02, 0.1, 2, None),
        Score("over_lookup", 0.12, 0.02, 0.22, 2, None),
        Score("over_null", 0.41, 0.2, 0.6, 2, None),
        Score("mass_explained", 0.72, 0.6, 0.84, 2, None),
        Score("survived", 0.85, 0.64, 0.95, 20, None),
        Score("over_broader", 0.09, 0.01, 0.17, 2, None),
        Score("over_narrower", -0.02, -0.1, 0.06, 2, None),
    )
    return ScorerResult("simulation", text, scores, trials)


def _null() -> ScorerResult:
    scores = (
        Score("population", 0.01, -0.1, 0.1, 2, None),
        Score("added", 0.0, -0.01, 0.01, 2, None),
    )
    return ScorerResult("simulation_null", "shouting", scores, ())


def _rules_result(text: str) -> ScorerResult:
    trials = (Trial(20, "top", 2.5, (0.0, 2.5, 0.0, 0.0)),)
    return ScorerResult("rules", text, (Score("population", 0.38, 0.3, 0.45, 2, None),), trials)


def _lookup() -> ScorerResult:
    return replace(make_results()[3], explanation=make_rules().text)
