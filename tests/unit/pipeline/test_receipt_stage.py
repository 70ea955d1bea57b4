"""What a revision replaces: an LLM's explanation that does worse on validation windows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from factories import make_stats
from graded_llm import GradedLLM, graded_model
from judged_text import CONCEPTS, make_windows, saying
from rule_unit import rule_inputs
from text_writer import TextWriter, around

from autointerp.core.config import ScoreConfig
from autointerp.core.explanations import Explanation
from autointerp.core.records import HeldOutSet, UnitSets, ValidationSet
from autointerp.core.scores import Score
from autointerp.core.sense_types import Sense, senses_text
from autointerp.llm import ChatModel, ChatReply, ChatRequest, ScriptedModel, Usage
from autointerp.llm.answers import NoAnswerError
from autointerp.llm.cost_log import current_purpose
from autointerp.llm.reply_formats import object_schema
from autointerp.pipeline import Selection, Tools, UnitInput
from autointerp.pipeline.held_out import HeldOut
from autointerp.pipeline.receipt_stage import with_margins, with_receipts
from autointerp.pipeline.receipts import ReceiptsResult
from autointerp.pipeline.receipts.llm_allowance import MOST_TOKENS, LlmAllowance
from autointerp.scorers import Scorer, ScoringSet
from autointerp.scorers.scorer_inputs import predicted_result
from autointerp.scorers.simulation.senses_simulation import SensesSimulation
from autointerp.scorers.simulation.words_simulation import WordsSimulation

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


def ruled(description: str, *words: str) -> Sense:
    return Sense(description, 10.0, program=f"10: token ~ / *({'|'.join(words)})/")


def having(*kept: Sense) -> Explanation:
    return replace(senses("x"), senses=kept, text=senses_text(kept))


def test_a_failing_sense_that_validation_windows_speak_for_is_not_described_anew() -> None:
    named_badly = ruled("rivers", *sorted(CONCEPTS["months"]))
    given = having(named_badly, ruled("stones", "xyzzy"))
    after, receipts = tried(given, {"rivers": "months", "stones": "months"})
    assert after.senses[0] == named_badly
    assert [sense.description for sense in after.senses] == ["rivers", "stones"]
    assert str(receipts.doubt(0)).endswith("; its rules predict on validation windows")
    assert "other windows" not in str(receipts.doubt(1))
    alone, receipts = tried(having(named_badly, ruled("months", "xyzzy")), {"rivers": None})
    assert alone.senses[0] == named_badly
    assert receipts.notes[-1] == "not revised: rules of failed senses predict on validation windows"


def perfect(explanation: Explanation, windows: ScoringSet) -> HeldOut:
    """As if it predicted what is true."""
    real = [record.activations for record in windows.records]
    main = predicted_result("simulation_senses", explanation.text, windows, real)
    return HeldOut(explanation, main, None)


class Paid:
    """Counts what receipts cost where every reply is as long as it may be."""

    def __init__(self, answer: Callable[[ChatRequest], object]) -> None:
        self._answer = answer
        self.spent: list[int] = []

    def __call__(self, request: ChatRequest) -> ChatReply:
        said = self._answer(request)
        prompt = sum(-(-len(message.content.encode()) // 3) for message in request.messages)
        usage = Usage(prompt, request.max_tokens)
        if current_purpose().stage == "receipts":
            self.spent.append(prompt + request.max_tokens)
        text = said.text if isinstance(said, ChatReply) else str(said)
        return ChatReply(text, "stop", None, usage, "m")


@pytest.mark.parametrize("n_senses", [1, 3, 6, 26])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("judge", [SensesSimulation, WordsSimulation])
def test_receipts_never_cost_more_than_3000_tokens_with_margins_and_revision(
    n_senses: int, fails: bool, judge: Callable[[ChatModel], Scorer]
) -> None:
    names = [
        f"{'rivers' if fails else 'months'} {'of a long name ' * 4}{n}" for n in range(n_senses)
    ]
    writer = TextWriter(
        {name: around(*CONCEPTS[name.split()[0]]) for name in names},
        better={name: f"months {name}" for name in names},
    )
    paid = Paid(writer)
    judging = Paid(lambda _: '{"windows": []}')
    made = Tools((), judge(ScriptedModel(judging)), (), (), llm=ScriptedModel(paid))
    inputs = unit_input(months, CONFIG.model_copy(update={"n_validation": 12}))
    selection = Selection((), (), found_no_pattern=False, llm=senses(*names))
    windows = inputs.scoring_set(held_out=True)

    async def whole() -> HeldOut:
        after, receipts = await with_receipts(inputs, selection, made)
        assert after.llm is not None
        main = predicted_result(
            "simulation_senses", "x", windows, [r.activations for r in windows.records]
        )
        held_out = HeldOut(after.llm, main, None)
        return await with_margins(inputs, made, held_out, receipts, windows)

    found = asyncio.run(whole())
    assert 0 < sum(paid.spent) + sum(judging.spent) <= 3_000
    assert found.main.score("over_broader").value is None
    if not judging.spent:
        assert any("rewrites were not scored" in note for note in found.main.notes)


def test_what_an_llm_thinks_out_of_sight_counts_towards_the_tokens_of_receipts() -> None:
    usage = Usage(100, 5_000)
    model = ScriptedModel(lambda _: ChatReply('{"a": 1}', "stop", None, usage, "m"))
    allowance = LlmAllowance(model, most=MOST_TOKENS, seed=0, fresh=False)
    schema = object_schema("a", {"a": {"type": "integer"}})
    asyncio.run(allowance.answer([("user", "x")], max_tokens=200, schema=schema))
    assert (allowance.spent, allowance.left, allowance.n_hidden) == (5_100, 0, 4_800)
    with pytest.raises(NoAnswerError, match="0 tokens are left"):
        asyncio.run(allowance.answer([("user", "x")], max_tokens=200, schema=schema))
    assert len(model.requests) == 1


def test_rewrites_are_scored_on_as_many_windows_as_there_are_tokens_for() -> None:
    rules = {
        name: lambda tokens: [10 * (t.strip() in CONCEPTS["months"]) for t in tokens]
        for name in ("broader than months", "narrower than months")
    }
    config = CONFIG.model_copy(update={"n_validation": 12})
    n_windows = []
    for spent in (0, 2_300, 2_990):
        judge = SensesSimulation(graded_model(GradedLLM(rules)))
        made = Tools((), judge, (), (), llm=ScriptedModel(lambda _: ""))
        inputs = unit_input(months, config)
        windows = inputs.scoring_set(held_out=True)
        given = saying("months")
        receipts = ReceiptsResult(
            Score.undefined("survived", "x"),
            broader=replace(given, text="broader than months"),
            narrower=replace(given, text="narrower than months"),
            n_tokens=spent,
        )
        main = predicted_result(
            "simulation_senses", "x", windows, [r.activations for r in windows.records]
        )
        held_out = HeldOut(given, main, None)
        found = asyncio.run(with_margins(inputs, made, held_out, receipts, windows)).main
        n_windows.append(found.score("over_broader").n_windows)
        assert found.score("over_narrower").n_windows == n_windows[-1]
    assert n_windows[0] == 12
    assert 4 <= n_windows[1] < 12
    assert n_windows[2] == 0
    assert found.notes == ("receipts: rewrites were not scored: 10 tokens are left for the LLM",)
