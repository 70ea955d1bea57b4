"""Senses that their receipts speak against are described anew, once, and tried again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rule_unit import rule_inputs
from text_writer import TextWriter, around

from autointerp.core.config import ScoreConfig
from autointerp.core.errors import RequestRefusedError
from autointerp.core.explanations import Explanation
from autointerp.core.sense_types import Sense, SenseKind, senses_text
from autointerp.explainers import ExplainInputs
from autointerp.llm import ChatReply, ChatRequest, ScriptedModel, Usage
from autointerp.pipeline.receipts import (
    FailedSense,
    ReceiptsResult,
    RevisedSenses,
    collect_receipts,
    receipt_prompts,
    revised,
)
from autointerp.pipeline.receipts.revising_prompt import Revisions

GOLDEN = Path(__file__).parents[2] / "golden"
CONFIG = ScoreConfig()
RIVERS, MONTHS, LAKES = ("Rhine", "Nile", "Oder"), ("May", "June", "July"), ("Como", "Erie")
WINDOWS = ("ban cort Rhine dusk", "gen Nile fin", "lort June ban", "ban cort dusk")


def rule(words: Sequence[str]) -> float:
    return 4.0 * (words[-1] in RIVERS) + 2.0 * (words[-1] in MONTHS)


WRITER = TextWriter(
    {
        "rivers": around(*RIVERS),
        "months": around(*MONTHS),
        "lakes": around(*LAKES),
        "water": around(*LAKES, "sea"),
        "ponds": around(*LAKES, "pond"),
    },
    better={"lakes": "months", "water": "ponds"},
)
FAILED = "the unit fires on 0 of {} texts that were written to activate it"


def explained(*descriptions: str) -> Explanation:
    senses = tuple(
        Sense(text, 10.0 - place, SenseKind.TOKEN, activation=2.5)
        for place, text in enumerate(descriptions)
    )
    kept = senses if len(senses) > 1 else ()
    return Explanation(senses_text(senses), "token_activation", "m", None, 0.0, 1, senses=kept)


def inputs_of() -> ExplainInputs:
    return rule_inputs(rule, WINDOWS)[0]


def tried(
    explanation: Explanation,
    handler: Callable[..., object] = WRITER,
    *,
    config: ScoreConfig = CONFIG,
    change: Callable[[ReceiptsResult], ReceiptsResult] = lambda found: found,
) -> tuple[ReceiptsResult, RevisedSenses, ScriptedModel]:
    model, inputs = ScriptedModel(handler, name="reader"), inputs_of()  # type: ignore[arg-type]

    async def both() -> tuple[ReceiptsResult, RevisedSenses]:
        found = change(await collect_receipts(explanation, inputs, model, config, seed=0))
        return found, await revised(explanation, found, inputs, model, config, seed=0)

    found, result = asyncio.run(both())
    return found, result, model


def answering(reply: object) -> Callable[[ChatRequest], object]:
    """Writes texts as ever, and gives that reply where descriptions are asked for."""

    def answer(request: ChatRequest) -> object:
        asks = "descriptions" in request.messages[-1].content
        return reply if asks else WRITER(request)

    return answer


def test_the_whole_prompt_is_the_golden_file() -> None:
    _, _, model = tried(explained("rivers", "lakes"), config=ScoreConfig(n_receipts=8))
    request = model.requests[1]
    shown = "".join(f"=== {m.role}\n{m.content}\n" for m in request.messages)
    golden = GOLDEN / "revise_senses_v3.txt"
    assert shown == golden.read_text(encoding="utf-8")


def test_senses_that_did_not_fail_are_shown_as_staying() -> None:
    _, _, model = tried(explained("lakes", "rivers", "water"))
    shown = model.requests[1].messages[-1].content
    assert '\n\nThese did not fail, and stay:\n"rivers"\n\nReply' in shown
    _, _, alone = tried(explained("lakes"))
    assert "These did not fail, and stay:\n(none)\n" in alone.requests[1].messages[-1].content


def test_a_failing_sense_is_described_anew_and_passes_and_the_others_stay() -> None:
    found, result, model = tried(explained("rivers", "lakes"))
    assert [(one.sense, one.reason) for one in found.failing] == [(1, FAILED.format(5))]
    assert result.explanation is not None
    new = result.explanation
    assert [s.description for s in new.senses] == ["rivers", "months"]
    assert new.senses[0] == explained("rivers", "lakes").senses[0]
    assert (new.senses[1].kind, new.senses[1].activation) == (SenseKind.TOKEN, None)
    assert new.text == "(1) rivers; (2) months"
    assert (new.explainer, new.model, new.sample) == ("token_activation", "reader", 1)
    assert new.prompt == receipt_prompts()[1]
    receipts = result.receipts
    assert (receipts.failing, receipts.survived.value) == ((), 1.0)
    assert [one for one in receipts.written if one.receipt.sense == 0] == list(found.written[:10])
    assert (receipts.edited, receipts.needs) == (found.edited, found.needs)
    assert len(model.requests) == 3
    assert receipts.n_tokens > found.n_tokens
    assert receipts.n_runs == found.n_runs + len(receipts.written) - 10


def test_rewrites_are_those_of_the_new_words() -> None:
    _, result, _ = tried(explained("rivers", "lakes"))
    assert result.receipts.broader is not None
    assert result.receipts.narrower is not None
    assert result.receipts.broader.text == "(1) broader than rivers; (2) broader than months"
    assert result.receipts.narrower.text == "(1) narrower than rivers; (2) narrower than months"


def test_an_explanation_of_one_piece_gets_new_words() -> None:
    _, result, _ = tried(explained("lakes"))
    assert result.explanation is not None
    assert (result.explanation.text, result.explanation.senses) == ("months", ())
    assert result.receipts.failing == ()


def test_a_sense_that_fails_again_is_doubtful_for_both_reasons() -> None:
    _, result, _ = tried(explained("water"))
    assert result.explanation is not None
    assert result.explanation.text == "ponds"
    again = f"{FAILED.format(10)}; described anew, {FAILED.format(10)}"
    assert result.receipts.doubt(0) == again


def test_one_request_asks_for_all_failing_senses() -> None:
    _, result, model = tried(explained("lakes", "rivers", "water"))
    assert len(model.requests) == 3
    assert result.explanation is not None
    assert [s.description for s in result.explanation.senses] == ["months", "rivers", "ponds"]
    assert [one.sense for one in result.receipts.failing] == [2]


def test_nothing_is_asked_where_nothing_fails_or_nobody_can_answer() -> None:
    found, result, model = tried(explained("rivers"))
    assert result == RevisedSenses(None, found)
    assert len(model.requests) == 1
    wrong, _, _ = tried(explained("lakes"))
    for inputs, asked in ((inputs_of(), None), (replace(inputs_of(), probe=None), model)):
        result = asyncio.run(revised(explained("lakes"), wrong, inputs, asked, CONFIG, seed=0))
        assert result == RevisedSenses(None, wrong)


def test_a_program_is_not_described_anew() -> None:
    program = replace(explained("lakes"), program='token == "Como"')
    found, result, model = tried(program)
    assert (result.explanation, len(model.requests)) == (None, 1)
    assert result.receipts.failing == found.failing
    assert result.receipts.notes[-1] == "not revised: the explanation is not in words"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("I see no pattern.", "not revised: the reply is not JSON"),
        (RequestRefusedError("policy"), "not revised: refused: policy"),
        (ChatReply("{", "length", None, Usage(9, 9), "m"), "cut off at its token limit"),
        ('{"descriptions": "months"}', 'not JSON with a list under "descriptions"'),
        ('{"descriptions": []}', "no other description: 1"),
        ('{"descriptions": ["Lakes"]}', "no other description: 1"),
        ('{"descriptions": [null, "months"]}', "no other description: 1"),
        ('{"descriptions": [{"drop": "yes", "description": 3}]}', "no other description: 1"),
        ('{"descriptions": [{"description": "", "drop": true}]}', "would drop all there is"),
    ],
)
def test_without_a_usable_description_the_sense_stays_doubtful(reply: object, why: str) -> None:
    found, result, model = tried(explained("lakes"), answering(reply))
    assert result.explanation is None
    assert result.receipts.failing == found.failing
    assert result.receipts.written == found.written
    assert why in result.receipts.notes[-1]
    assert len(model.requests) == 2
    assert result.receipts.n_tokens >= found.n_tokens


def test_where_some_get_new_words_the_others_say_that_none_were_found() -> None:
    reply = json.dumps({"descriptions": ["lakes", "months"]})
    _, result, _ = tried(explained("lakes", "water"), answering(reply))
    assert result.explanation is not None
    assert [s.description for s in result.explanation.senses] == ["lakes", "months"]
    assert result.receipts.doubt(0) == f"{FAILED.format(5)}; no other description was found"
    assert result.receipts.doubt(1) is None


def test_a_sense_that_no_description_fits_is_dropped_with_its_receipts() -> None:
    reply = json.dumps({"descriptions": [{"description": "", "drop": True}]})
    found, result, model = tried(explained("lakes", "rivers"), answering(reply))
    assert [one.sense for one in found.failing] == [0]
    assert result.explanation is not None
    assert [s.description for s in result.explanation.senses] == ["rivers"]
    assert result.explanation.text == "rivers"
    receipts = result.receipts
    assert (receipts.failing, receipts.survived.value) == ((), 1.0)
    assert {one.receipt.sense for one in receipts.written} == {0}
    assert [one.probed for one in receipts.written] == [one.probed for one in found.written[10:]]
    assert receipts.edited == found.edited
    assert receipts.notes[-1] == "dropped, as no description fits: lakes"
    assert receipts.broader is not None
    assert receipts.broader.text == "broader than rivers"
    assert len(model.requests) == 2


def test_one_sense_is_dropped_and_another_described_anew() -> None:
    drop, months = {"description": "", "drop": True}, {"description": "months", "drop": False}
    reply = json.dumps({"descriptions": [drop, months]})
    given = explained("lakes", "rivers", "water")
    _, result, model = tried(given, answering(reply), config=ScoreConfig(n_receipts=18))
    assert result.explanation is not None
    assert [s.description for s in result.explanation.senses] == ["rivers", "months"]
    assert (result.receipts.failing, result.receipts.survived.value) == ((), 1.0)
    assert {one.receipt.sense for one in result.receipts.written} == {0, 1}
    assert result.receipts.narrower is not None
    assert result.receipts.narrower.text == "(1) narrower than rivers; (2) narrower than months"
    assert len(model.requests) == 3


def test_where_every_sense_would_be_dropped_the_explanation_stays() -> None:
    reply = json.dumps({"descriptions": [{"description": "", "drop": True}] * 2})
    found, result, _ = tried(explained("lakes", "water"), answering(reply))
    assert result.explanation is None
    assert result.receipts.failing == found.failing
    assert result.receipts.notes[-1] == "not revised: the LLM would drop all there is"


def test_a_description_that_is_too_long_is_named_when_it_is_asked_for_again() -> None:
    too_long = {"description": "word " * 40, "drop": False}
    replies = iter([[{"description": "months"}, too_long], ["months", "ponds"]])

    def answer(request: ChatRequest) -> str:
        asks = any('"drop"' in message.content for message in request.messages)
        return json.dumps({"descriptions": next(replies)}) if asks else WRITER(request)

    _, result, model = tried(explained("lakes", "water"), answer)
    assert result.explanation is not None
    assert [s.description for s in result.explanation.senses] == ["months", "ponds"]
    assert model.requests[2].messages[-1].content == (
        "That cannot be used: description 2 has 40 words, at most 30 are allowed "
        "(words are what stands between blanks). Answer again, as asked above."
    )


def test_the_rejected_answer_is_shown_and_what_only_it_says_is_kept() -> None:
    first = json.dumps({"descriptions": ["months", "word " * 40]})
    replies = iter([first, json.dumps({"descriptions": [None, "ponds"]})])

    def answer(request: ChatRequest) -> str:
        asks = any('"drop"' in message.content for message in request.messages)
        return next(replies) if asks else WRITER(request)

    _, result, model = tried(explained("lakes", "water"), answer)
    assert result.explanation is not None
    assert [s.description for s in result.explanation.senses] == ["months", "ponds"]
    again = model.requests[2].messages
    assert (again[-2].role, again[-2].content) == ("assistant", first)


def test_a_later_answer_goes_before_an_earlier_one_also_where_it_drops_a_sense() -> None:
    earlier = Revisions(("a", "b", None, None), frozenset({2, 3}), "too long")
    later = Revisions((None, None, "c", None), frozenset({1}))
    assert earlier.filled_by(later) == Revisions(("a", None, "c", None), frozenset({1, 3}))


def test_a_description_that_stays_too_long_is_not_taken_but_the_others_are() -> None:
    reply = json.dumps({"descriptions": ["months", "word " * 40]})

    def answer(request: ChatRequest) -> str:
        asks = any('"drop"' in message.content for message in request.messages)
        return reply if asks else WRITER(request)

    _, result, model = tried(explained("lakes", "water"), answer)
    assert result.explanation is not None
    assert [s.description for s in result.explanation.senses] == ["months", "water"]
    assert len(model.requests) == 4


def test_of_equal_tokens_those_that_are_active_are_marked() -> None:
    def second(words: Sequence[str]) -> float:
        return 4.0 * (words[-1] == "of" and "end" in words)

    text = "cort of ban end of dusk"
    inputs, _ = rule_inputs(second, (text,))
    lakes = TextWriter({"lakes": lambda _: text}, {"lakes": lambda _: text.replace("cort", "gen")})
    model, given = ScriptedModel(lakes), explained("lakes")
    config = ScoreConfig(n_receipts=2)

    async def both() -> None:
        found = await collect_receipts(given, inputs, model, config, seed=0)
        failed = replace(found, failing=(FailedSense(0, "it fires"),))
        await revised(given, failed, inputs, model, config, seed=0)

    asyncio.run(both())
    shown = model.requests[1].messages[-1].content
    assert 'should be silent, level 10: " gen of ban end «of:10» dusk"' in shown
    assert '1: " cort of ban end «of:10»"' in shown


@pytest.mark.parametrize(("spent", "n_requests"), [(2_900, 1), (1_800, 2), (900, 3)])
def test_what_is_left_of_the_tokens_decides_how_far_it_goes(spent: int, n_requests: int) -> None:
    def costly(request: ChatRequest) -> ChatReply:
        shown = sum(len(message.content) for message in request.messages)
        usage = Usage(shown // 3, request.max_tokens)
        return ChatReply(WRITER(request), "stop", None, usage, "m")

    _, result, model = tried(
        explained("lakes"), costly, change=lambda found: replace(found, n_tokens=spent)
    )
    assert len(model.requests) == n_requests
    assert result.receipts.n_tokens <= 3_000
    if n_requests == 1:
        assert result.explanation is None
        assert result.receipts.notes[-1] == "not revised: 100 tokens are left for the LLM"
    elif n_requests == 2:
        again = f"{FAILED.format(10)}; described anew and not tried again"
        assert result.receipts.doubt(0) == again
        assert "not tried again" in result.receipts.notes[-1]
        assert result.receipts.written == ()
        assert result.receipts.survived.value is None
    else:
        assert result.receipts.failing == ()


def test_hidden_thoughts_use_up_the_tokens_and_the_label_says_what_was_not_asked() -> None:
    def thinking(request: ChatRequest) -> ChatReply:
        return ChatReply(WRITER(request), "stop", None, Usage(500, 4_000), "m")

    found, result, model = tried(explained("lakes"), thinking)
    assert len(model.requests) == 1
    assert found.n_tokens == 4_500
    assert any(note.startswith("hidden thoughts of the LLM count") for note in found.notes)
    assert result.receipts.notes[-1] == "not revised: 0 tokens are left for the LLM"


def test_runs_that_are_spent_leave_the_new_words_untried() -> None:
    _, result, model = tried(explained("lakes"), change=lambda found: replace(found, n_runs=198))
    assert len(model.requests) == 2
    assert "not tried again" in str(result.receipts.doubt(0))


def test_texts_that_fail_to_come_back_leave_the_new_words_untried() -> None:
    def answer(request: ChatRequest) -> str:
        asked = request.messages[-1].content
        return "no" if '"months" (' in asked else WRITER(request)

    _, result, _ = tried(explained("rivers", "lakes"), answer)
    assert result.explanation is not None
    assert result.receipts.doubt(1) == f"{FAILED.format(5)}; described anew and not tried again"
    assert result.receipts.broader is not None
    assert [s.description for s in result.receipts.broader.senses] == [
        "broader than rivers",
        "months",
    ]


def test_whatever_happens_no_more_than_200_texts_are_run() -> None:
    for n in (1, 20, 90, 200):
        inputs, probe = rule_inputs(rule, WINDOWS)
        model, config = ScriptedModel(WRITER), ScoreConfig(n_receipts=n)

        async def both(
            inputs: ExplainInputs = inputs,
            model: ScriptedModel = model,
            config: ScoreConfig = config,
        ) -> RevisedSenses:
            given = explained("lakes")
            found = await collect_receipts(given, inputs, model, config, seed=0)
            return await revised(given, found, inputs, model, config, seed=0)

        result = asyncio.run(both())
        assert result.receipts.n_runs == sum(probe.batches) <= 200
