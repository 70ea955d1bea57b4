"""An explanation is tried on texts that an LLM writes by it, and on edited exemplars."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rule_unit import COMMON, Rule, RuleProbe, rule_inputs
from text_writer import TextWriter, Write, around, common_words

from autointerp.core.config import ScoreConfig
from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.core.explanations import Explanation
from autointerp.core.sense_types import FIRES, SILENT, ReceiptKind, Sense, SenseKind, senses_text
from autointerp.llm import ChatModel, ChatReply, Features, ScriptedModel, Usage
from autointerp.llm.cost_log import current_purpose
from autointerp.pipeline.receipts import ReceiptsResult, collect_receipts, texts_wanted
from autointerp.pipeline.receipts.writing_prompt import writing_template
from autointerp.scorers.written_texts import NO_PROBE

GOLDEN = Path(__file__).parents[2] / "golden"
CONFIG = ScoreConfig()
RIVERS, MONTHS = ("Rhine", "Nile", "Oder"), ("May", "June", "July")
WINDOWS = ("ban cort Rhine dusk", "gen Nile fin", "lort June ban", "ban cort dusk")


def rivers(words: Sequence[str]) -> float:
    return 4.0 * (words[-1] in RIVERS)


def explained(*descriptions: str) -> Explanation:
    senses = tuple(Sense(text, 10.0 - place) for place, text in enumerate(descriptions))
    kept = senses if len(senses) > 1 else ()
    return Explanation(senses_text(senses), "token_activation", "m", None, 0.0, 0, senses=kept)


WRITER = TextWriter({"rivers": around(*RIVERS), "months": around(*MONTHS)})


def collected(
    explanation: Explanation,
    handler: Callable[..., object] | None = WRITER,
    *,
    rule: Rule = rivers,
    windows: Sequence[str] = WINDOWS,
    config: ScoreConfig = CONFIG,
    model: ChatModel | None = None,
    n_ctx: int = 512,
) -> ReceiptsResult:
    inputs, _ = rule_inputs(rule, windows, n_ctx=n_ctx)
    if handler is not None:
        model = ScriptedModel(handler)  # type: ignore[arg-type]
    return asyncio.run(collect_receipts(explanation, inputs, model, config, seed=0))


def test_the_whole_prompt_is_the_golden_file() -> None:
    model = ScriptedModel(WRITER)
    collected(explained("rivers", "months"), None, model=model)
    [request] = model.requests
    golden = GOLDEN / "write_receipts_v4.txt"
    shown = "".join(f"=== {m.role}\n{m.content}\n" for m in request.messages)
    assert shown == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("same", ["rivers", "Rivers", " rivers. ", '"rivers"'])
def test_a_rewrite_that_says_the_same_is_none(same: str) -> None:
    texts = {"fires": ["Nile"], "silent": ["ban"], "broader": same, "narrower": "the Nile"}
    found = collected(explained("rivers"), lambda _: json.dumps({"senses": [texts]}))
    assert found.broader is None
    assert found.narrower is not None
    assert found.narrower.text == "the Nile"


def test_the_prompt_names_the_levels_from_which_texts_fire_and_below_which_they_are_silent() -> (
    None
):
    shown = " ".join(text for _, text in writing_template().turns)
    assert f"at level {FIRES:.0f} or more" in shown
    assert f"below level {SILENT:.0f}," in shown


def test_an_explanation_that_is_right_survives_and_is_rewritten_both_ways() -> None:
    found = collected(explained("rivers"))
    assert (found.survived.value, found.survived.n_windows) == (1.0, 20)
    assert (found.survived.low, found.survived.high) == pytest.approx((0.84, 1.0), abs=0.005)
    kinds = [one.receipt.kind for one in found.written]
    assert kinds == [ReceiptKind.POSITIVE] * 10 + [ReceiptKind.NEAR_MISS] * 10
    assert {(r.sense, r.level) for r in found.receipts[:10]} == {(0, 10.0)}
    assert (found.failing, found.notes) == ((), ())
    assert found.broader is not None
    assert found.narrower is not None
    assert (found.broader.text, found.narrower.text) == (
        "broader than rivers",
        "narrower than rivers",
    )
    assert found.broader.explainer == "token_activation"
    assert found.needs == ("any text before ' Rhine'", "any text before ' Nile'")


MIXED = Sense("other tokens", 5.0, SenseKind.MIXED, program="5: token ~ / *ban/")
WEAK = Sense("signs", 0.5, program="0.5: token ~ / *[.,]/")


def having(*senses: Sense) -> Explanation:
    return replace(explained("rivers", "months"), senses=senses, text=senses_text(senses))


def test_tokens_of_no_sense_and_senses_below_level_1_get_no_texts() -> None:
    found = collected(having(MIXED, Sense("rivers", 10.0), WEAK))
    assert {one.receipt.sense for one in found.written} == {1}
    assert found.failing == ()
    model = ScriptedModel(WRITER)
    alone = collected(having(MIXED, WEAK), None, model=model)
    assert (model.requests, alone.written) == ((), ())
    assert alone.survived.reason == "no sense is strong enough for a text of its own"


def test_a_text_fires_from_what_the_rules_of_its_sense_expect_of_it() -> None:
    weak = Sense("rivers", 8.0, program="8: token ~ / *Main/\n3: token ~ / *(Rhine|Nile|Oder)/")
    found = collected(having(weak, Sense("months", 8.0)), rule=lambda w: rivers(w) / 4)
    written = [one.receipt for one in found.written if one.receipt.expected]
    fires_from = {one.sense: one.fires_from for one in written}
    assert fires_from == {0: 1.5, 1: 3.0}


def test_a_sense_in_other_words_is_no_longer_found_by_its_rules() -> None:
    ruled = Sense("rivers", 8.0, program="8: token ~ / *(Rhine|Nile|Oder)/")
    found = collected(having(ruled, MIXED))
    assert found.broader is not None
    assert [sense.program for sense in found.broader.senses] == [None, MIXED.program]


def test_a_sense_in_other_words_has_the_level_in_the_middle_of_its_rules() -> None:
    ruled = Sense("rivers", 8.0, program="8: token ~ / *Rhine/\n3: token ~ / *(Nile|Oder)/")
    weak = Sense("months", 1.0, program="1: token ~ / *[.]/\n0.2: token ~ / *,/")
    found = collected(having(ruled, weak))
    assert found.broader is not None
    assert [sense.level for sense in found.broader.senses] == [5.5, 1.0]


def test_texts_are_spread_over_senses_and_the_one_that_is_wrong_fails() -> None:
    found = collected(explained("rivers", "months", "rivers"))
    senses = [one.receipt.sense for one in found.written]
    # The third gives three texts that the first gave.
    assert [senses.count(place) for place in range(3)] == [8, 6, 3]
    [failed] = found.failing
    assert failed.sense == 1
    assert failed.reason == "the unit fires on 0 of 3 texts that were written to activate it"
    assert [found.doubt(place) is None for place in range(3)] == [True, False, True]
    assert found.broader is not None
    assert [s.description for s in found.broader.senses][:2] == [
        "broader than rivers",
        "broader than months",
    ]


def test_near_misses_that_fire_fail_a_sense_too() -> None:
    writer = replace(WRITER, silent={"rivers": around("Rhine ban", "Nile gen", "Oder fin")})
    found = collected(explained("rivers"), writer)
    assert (found.survived.value, found.survived.n_windows) == (0.5, 20)
    assert (found.survived.low, found.survived.high) == pytest.approx((0.3, 0.7), abs=0.005)
    assert [one.reason for one in found.failing] == ["the unit fires on 10 of 10 near misses"]
    both = TextWriter({"rivers": common_words}, silent={"rivers": around(*RIVERS)})
    [failed] = collected(explained("rivers"), both).failing
    assert failed.reason.count("the unit fires on") == 2


def test_a_text_between_silent_and_firing_is_as_nobody_expected() -> None:
    found = collected(explained("rivers"), rule=lambda words: rivers(words) or 0.8)
    assert (found.survived.value, found.survived.n_windows) == (0.5, 20)
    assert found.failing == ()


def test_line_breaks_of_a_text_are_run_and_kept() -> None:
    texts = ["ban cort\nRhine dusk", "ban cort Rhine dusk", "\nNile", "\n", "- ban\n\tOder "]
    reply = json.dumps({"fires": texts, "silent": []})
    found = collected(explained("rivers"), lambda _: reply)
    kept = ["ban cort\nRhine dusk", "ban cort Rhine dusk", "\nNile", "- ban\n\tOder"]
    assert [one.receipt.text for one in found.written] == kept
    assert [one.probed.text for one in found.written] == kept
    assert "left out of what the LLM wrote: 1 empty or not a text" in found.notes


@pytest.mark.parametrize(
    ("given", "n_run", "left_out"),
    [
        ({"fires": [], "silent": []}, 0, None),
        ({"fires": "Rhine", "silent": ["ban"]}, 1, "1 not a list"),
        ({"fires": ["", "  ", 7, None, "Rhine"], "silent": []}, 1, "4 empty or not a text"),
        ({"fires": ["Rhine " * 60, "Nile"], "silent": []}, 1, "1 longer than 300 characters"),
        ({"fires": ["Nile", " nile "], "silent": ["NILE", "ban"]}, 2, "2 given twice"),
        (
            {"fires": [f"Rhine {n}" for n in range(40)], "silent": []},
            10,
            "30 more than asked for",
        ),
        ({"silent": ["ban"], "fires": None}, 1, "1 not a list"),
        (["Rhine"], 0, "1 not an object"),
    ],
)
def test_texts_that_came_back_wrongly_are_left_out_with_a_count(
    given: object, n_run: int, left_out: str | None
) -> None:
    found = collected(explained("rivers"), lambda _: json.dumps({"senses": [given]}))
    assert len(found.written) == n_run
    notes = [f"asked the LLM for 20 texts, {n_run} can be used"]
    assert (
        list(found.notes)
        == ([f"left out of what the LLM wrote: {left_out}"] if left_out else []) + notes
    )
    assert (found.survived.value is None) == (n_run == 0)
    assert found.needs


def test_texts_beyond_the_context_are_left_out() -> None:
    long = "ban " * 20 + "Rhine"
    given = {"fires": [long, "Rhine"], "silent": ["ban"]}
    found = collected(explained("rivers"), lambda _: json.dumps({"senses": [given]}), n_ctx=8)
    assert [one.receipt.text for one in found.written] == ["Rhine", "ban"]
    assert "texts that could not be run as a whole: 1" in found.notes


def test_senses_that_did_not_come_back_have_no_receipts() -> None:
    given = {"fires": ["Rhine", "Nile"], "silent": ["ban", "cort"], "broader": 7, "narrower": ""}
    found = collected(explained("rivers", "months"), lambda _: json.dumps({"senses": [given]}))
    assert {one.receipt.sense for one in found.written} == {0}
    assert (found.failing, found.broader, found.narrower) == ((), None, None)


def test_one_sense_may_come_without_its_list() -> None:
    given = {"fires": ["Rhine"], "silent": ["ban"], "broader": "water"}
    found = collected(explained("rivers"), lambda _: json.dumps(given))
    assert len(found.written) == 2
    assert found.broader is not None
    assert found.narrower is None


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("I cannot write that.", "not JSON"),
        ("", "held nothing"),
        ("<think>Rivers ...</think>", "only reasoning"),
        (ChatReply('{"senses": [', "length", None, Usage(9, 9), "m"), "cut off"),
        (RequestRefusedError("policy"), "refused: policy"),
        ('{"senses": 3}', "is not a list"),
    ],
)
def test_a_failure_of_the_llm_is_a_note_and_never_a_receipt(reply: object, why: str) -> None:
    found = collected(explained("rivers"), lambda _: reply)
    assert (found.written, found.failing, found.broader) == ((), (), None)
    assert found.survived.value is None
    assert why in (found.survived.reason or "")
    assert any(why in note for note in found.notes)
    assert {r.expected for r in found.receipts} == {None}
    assert found.needs


def test_an_llm_that_cannot_be_used_ends_it() -> None:
    with pytest.raises(UpstreamError):
        collected(explained("rivers"), lambda _: UpstreamError("gone", retryable=True))


def test_without_a_probe_there_are_no_receipts_and_a_reason() -> None:
    model = ScriptedModel(WRITER)
    inputs = replace(rule_inputs(rivers, WINDOWS)[0], probe=None)
    found = asyncio.run(collect_receipts(explained("rivers"), inputs, model, CONFIG, seed=0))
    assert (found.receipts, found.needs) == ((), ())
    assert found.survived.reason == NO_PROBE
    assert found.notes == (f"no receipts: {NO_PROBE}",)
    assert model.requests == ()


def test_a_broken_unit_gives_reasons_and_no_receipts() -> None:
    found = collected(explained("rivers"), rule=rivers)
    assert found.receipts
    inputs, probe = rule_inputs(rivers, WINDOWS)

    class Broken(RuleProbe):
        async def measure(self, unit, texts):  # type: ignore[no-untyped-def]
            from autointerp.core.errors import InputError

            raise InputError("activation is nan")

        async def measure_ids(self, unit, sequences):  # type: ignore[no-untyped-def]
            return await self.measure(unit, sequences)

    broken = replace(inputs, probe=Broken(probe.tokenizer, rivers))
    found = asyncio.run(
        collect_receipts(explained("rivers"), broken, ScriptedModel(WRITER), CONFIG, seed=0)
    )
    assert found.receipts == ()
    assert "the texts were not run: activation is nan" in found.notes
    assert "no exemplar was edited: activation is nan" in found.notes


def test_a_unit_with_one_activating_window_or_none_is_tried_all_the_same() -> None:
    one = collected(explained("rivers"), windows=("ban Rhine cort", "ban"))
    assert one.needs == ("any text before ' Rhine'",)
    assert one.survived.value == 1.0
    none = collected(explained("rivers"), windows=("ban",))
    assert (none.needs, len(none.written)) == ((), 20)


def test_a_small_llm_is_asked_for_no_texts_unless_the_job_says_so() -> None:
    small, capable = (ScriptedModel(WRITER, features=Features(small=s)) for s in (True, False))
    assert [texts_wanted(CONFIG, m) for m in (None, small, capable)] == [0, 0, 20]
    asked = ScoreConfig(n_receipts=6)
    assert [texts_wanted(asked, m) for m in (None, small, capable)] == [0, 6, 6]
    found = collected(explained("rivers"), None, model=small)
    assert (small.requests, found.written) == ((), ())
    assert found.needs


@pytest.mark.parametrize("n_senses", [1, 6])
def test_runs_and_tokens_stay_within_their_limits(n_senses: int) -> None:
    rng = random.Random(0)
    windows = [" ".join([*rng.choices(COMMON, k=60), "-"]) for _ in range(4)]

    def rule(words: Sequence[str]) -> float:
        return len(words) / 10 * (words[-1] == "-")

    names = [f"{kind} of the long and winding kind, in any sense or spelling" for kind in "abcdef"]
    model = ScriptedModel(TextWriter(dict.fromkeys(names, common_words)))
    inputs, probe = rule_inputs(rule, windows)
    explanation = explained(*names[:n_senses])
    found = asyncio.run(collect_receipts(explanation, inputs, model, CONFIG, seed=0))
    assert found.n_runs == sum(probe.batches) <= 180
    [request] = model.requests
    shown = sum(len(message.content) for message in request.messages)
    # Four letters a token, texts of about 20 tokens.
    assert shown / 4 + 20 * 25 + n_senses * 40 < 1_300


def test_calls_are_charged_to_receipts() -> None:
    stages = []

    def noting(request: object) -> str:
        stages.append(current_purpose().stage)
        return "{}"

    collected(explained("rivers"), noting)
    assert stages == ["receipts"]


def planted(number: int, rng: random.Random) -> tuple[Rule, Write, Write]:
    """A rule over words of its own, who writes by it, and who writes near misses."""
    a, b, c = (f"w{number}{letter}{rng.choice('aeiou')}ns" for letter in "abc")
    kind = number % 4
    if kind == 0:
        return lambda words: 3.0 * (words[-1] in {a, b}), around(a, b), around(f"{a}s", f"un{b}")
    if kind == 1:
        bigram = around(f"{a} {b}")
        return lambda words: 2.0 * (list(words[-2:]) == [a, b]), bigram, around(a, f"{b} {a}", b)
    if kind == 2:
        pattern = re.compile(rf"w{number}a.*ing")
        forms = around(f"{a}ing", f"{a}king", f"{a}sing")
        return lambda words: float(bool(pattern.fullmatch(words[-1]))), forms, around(a, "king")

    def topic(words: Sequence[str]) -> float:
        return 5.0 * (words[-1] == b and bool({a, c} & {*words[-6:-1]}))

    return topic, around(f"{a} ban {b}", f"{c} {b}"), around(f"{b} {a}", b)


def test_survival_tells_explanations_that_are_right_from_those_of_other_units() -> None:
    rng = random.Random(0)
    units = [planted(number, rng) for number in range(48)]
    names = [f"rule {number}" for number in range(48)]
    writer = TextWriter(
        {name: write for name, (_, write, _) in zip(names, units, strict=True)},
        {name: miss for name, (_, _, miss) in zip(names, units, strict=True)},
        errs=0.2,
    )
    right, wrong = [], []
    for place, (rule, write, _) in enumerate(units):
        windows = [write(rng) for _ in range(6)] + [common_words(rng)]
        for scores, name in ((right, names[place]), (wrong, names[place - 5])):
            found = collected(explained(name), writer, rule=rule, windows=windows)
            assert found.survived.value is not None
            scores.append(found.survived.value)
    pairs = [(a > b) + 0.5 * (a == b) for a in right for b in wrong]
    assert sum(pairs) / len(pairs) >= 0.95
