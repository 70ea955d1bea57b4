"""What a revision replaces: an LLM's explanation that does worse on validation windows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from factories import make_stats
from graded_llm import GradedLLM, graded_model
from judged_text import CONCEPTS, make_windows
from rule_unit import rule_inputs
from text_writer import TextWriter, around

from autointerp.core.config import ScoreConfig
from autointerp.core.explanations import Explanation
from autointerp.core.records import HeldOutSet, UnitSets, ValidationSet
from autointerp.core.sense_types import Sense, senses_text
from autointerp.llm import ChatModel, ScriptedModel
from autointerp.pipeline import Selection, Tools, UnitInput
from autointerp.pipeline.receipt_stage import with_receipts
from autointerp.pipeline.receipts import ReceiptsResult
from autointerp.scorers.simulation.senses_simulation import SensesSimulation

WINDOWS = make_windows(seed=1)
"""Active on months; rivers and stones stand in half of the texts, silent."""
CONFIG = ScoreConfig(n_validation=40, n_bootstrap=100, fit_levels=False)
FITTED = CONFIG.model_copy(update={"fit_levels": True})
NO_BETTER = "what was revised scored no better on validation windows"
Rule = Callable[[Sequence[str]], float]


def months(words: Sequence[str]) -> float:
    return 4.0 * (words[-1] in CONCEPTS["months"])


def rivers(words: Sequence[str]) -> float:
    """In short texts the unit does what it does nowhere else."""
    return 4.0 * (words[-1] in CONCEPTS["rivers"])


def unit_input(rule: Rule, config: ScoreConfig) -> UnitInput:
    texts = ("the May of cold", "old June ran", "wide July and", "the Rhine of", "a Nile ran")
    given, probe = rule_inputs(rule, texts)
    explain = given.records
    records, strata = WINDOWS.records, WINDOWS.strata
    sets = UnitSets(
        explain,
        ValidationSet(explain.unit, explain.side, records, strata, explain.peak),
        HeldOutSet(explain.unit, explain.side, records, strata, explain.peak),
    )
    return UnitInput(
        sets, given.token_means, make_stats(), given.tokenizer, config, seed=0, probe=probe
    )


def senses(*descriptions: str) -> Explanation:
    kept = tuple(Sense(text, 10.0) for text in descriptions)
    return Explanation(senses_text(kept), "senses", "m", None, 0.0, 0, senses=kept)


def tried(
    explanation: Explanation,
    better: dict[str, str | None],
    *,
    rule: Rule = months,
    config: ScoreConfig = CONFIG,
) -> tuple[Explanation, ReceiptsResult]:
    """The explanation and its receipts afterwards; None drops a description."""
    writer = TextWriter({name: around(*words) for name, words in CONCEPTS.items()}, better=better)
    rules = {
        name: lambda tokens, words=words: [10 * (t.strip() in words) for t in tokens]
        for name, words in CONCEPTS.items()
    }
    judge = SensesSimulation(graded_model(GradedLLM(rules)))
    llm: ChatModel = ScriptedModel(writer, name="reader")
    selection = Selection((), (), found_no_pattern=False, llm=explanation)
    made = Tools((), judge, (), (), llm=llm)
    after, receipts = asyncio.run(with_receipts(unit_input(rule, config), selection, made))
    assert after.llm is not None
    return after.llm, receipts


def descriptions(explanation: Explanation) -> list[str]:
    return [sense.description for sense in explanation.senses]


def test_a_revision_that_does_better_on_validation_windows_is_taken() -> None:
    after, receipts = tried(senses("rivers"), {"rivers": "months"})
    assert descriptions(after) == ["months"]
    assert (receipts.failing, receipts.survived.value) == ((), 1.0)


def test_a_revision_that_does_worse_is_refused_with_a_note_and_the_sense_stays_doubtful() -> None:
    after, receipts = tried(senses("months"), {"months": "rivers"}, rule=rivers)
    assert descriptions(after) == ["months"]
    assert receipts.notes[-1] == NO_BETTER
    assert receipts.doubt(0) is not None
    assert receipts.survived.value == 0.5


def test_a_revision_that_does_as_well_is_refused() -> None:
    after, receipts = tried(senses("rivers"), {"rivers": "nothing"})
    assert (descriptions(after), receipts.notes[-1]) == (["rivers"], NO_BETTER)


def test_a_dropped_sense_takes_its_receipts_along() -> None:
    after, receipts = tried(senses("rivers", "months"), {"rivers": None})
    assert (descriptions(after), after.text) == (["months"], "months")
    assert {one.receipt.sense for one in receipts.written} == {0}
    assert (receipts.failing, receipts.survived.value) == ((), 1.0)


def test_a_dropped_sense_that_validation_windows_want_stays_and_is_doubtful() -> None:
    given = senses("rivers", "months")
    after, receipts = tried(given, {"months": None}, rule=rivers)
    assert after == given
    assert receipts.notes[-1] == NO_BETTER
    assert (receipts.doubt(0), receipts.doubt(1) is None) == (None, False)


@pytest.mark.parametrize("config", [CONFIG, FITTED])
def test_where_every_sense_would_be_dropped_the_explanation_stays(config: ScoreConfig) -> None:
    given = senses("rivers", "stones")
    after, receipts = tried(given, {"rivers": None, "stones": None}, config=config)
    assert after == given
    assert receipts.notes[-1] == "not revised: the LLM would drop all there is"
    assert [one.sense for one in receipts.failing] == [0, 1]


def test_receipts_follow_the_senses_that_fitted_levels_leave() -> None:
    given = senses("rivers", "nothing")
    after, receipts = tried(given, {"rivers": "stones", "nothing": "months"}, config=FITTED)
    assert descriptions(after) == ["months"]
    assert after.senses[0].activation == pytest.approx(3.2, abs=0.8)
    assert {one.receipt.sense for one in receipts.written} == {0}
    assert (receipts.failing, receipts.survived.value) == ((), 1.0)
    assert receipts.broader is not None
    assert descriptions(receipts.broader) == ["broader than months"]


def test_what_nobody_can_score_on_validation_windows_replaces_nothing() -> None:
    inputs = unit_input(months, CONFIG)
    empty = replace(inputs.sets.validation, records=(), strata=())
    inputs = replace(inputs, sets=replace(inputs.sets, validation=empty))
    writer = TextWriter(
        {"rivers": around("Rhine"), "months": around("May")}, better={"rivers": "months"}
    )
    selection = Selection((), (), found_no_pattern=False, llm=senses("rivers"))
    judge = SensesSimulation(graded_model(GradedLLM({})))
    made = Tools((), judge, (), (), llm=ScriptedModel(writer))
    after, receipts = asyncio.run(with_receipts(inputs, selection, made))
    assert after == selection
    assert receipts.notes[-1] == NO_BETTER
