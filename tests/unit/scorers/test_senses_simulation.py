"""Simulation from senses: what is asked, how places are read, what they predict, what fails."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_record, make_sets
from graded_llm import GradedLLM, Rule, graded_model
from hostile import hostile_windows, said
from judged_text import BAD_REPLIES, CONCEPTS, RIGHT, WRONG, judge, make_windows, rendered, saying

from autointerp.core.config import ScoreConfig
from autointerp.core.errors import RequestRefusedError
from autointerp.core.explanations import Explanation
from autointerp.core.records import Stratum
from autointerp.core.sense_types import Sense
from autointerp.llm import ChatReply, ChatRequest, Features, FittingModel, ScriptedModel, Usage
from autointerp.programs.language import (
    MOST_STEPS,
    MOST_STEPS_OF_WINDOWS,
    n_windows_in_time,
    parse_program,
)
from autointerp.scorers import ScorerDependencies, ScoringSet
from autointerp.scorers.simulation.listed_words import ShownText
from autointerp.scorers.simulation.places_reply import read_places
from autointerp.scorers.simulation.senses_simulation import (
    SPEC,
    SensePlaces,
    SensesSimulation,
    predict,
)

GOLDEN = Path(__file__).parents[2] / "golden"
WINDOWS = make_windows()
SMALL = ScoringSet.of(make_sets().held_out, seed=0, n_bootstrap=200, confidence=0.95)
TEXT = ShownText.of(
    (" the", " an", "cient", " Br", "itish", " of", " the", " an", " 1", "9"), with_bars=True
)


def replied(text: str, *, finish: str = "stop") -> ChatReply:
    return ChatReply(text, finish, None, Usage(), "m")


def read_one(listed: str, *, n: int = 2, strengths: bool = True) -> Sequence[Sequence[float]] | str:
    reply = replied(f'{{"windows": [{listed}]}}')
    [found] = read_places(reply, [TEXT], n, with_strengths=strengths)
    return found


def places_of(listed: str, pattern: int = 1) -> list[int]:
    """The tokens at which a pattern applies."""
    found = read_one(listed)
    assert not isinstance(found, str), found
    return [i for i, token in enumerate(found) if token[pattern - 1]]


def having(*senses: tuple[str, float] | Sense) -> Explanation:
    made = [s if isinstance(s, Sense) else Sense(*s) for s in senses]
    return replace(saying("; ".join(s.description for s in made)), senses=tuple(made))


def rule(concept: str) -> Rule:
    return lambda tokens: [10 if t.strip() in CONCEPTS[concept] else 0 for t in tokens]


def llm(**how: object) -> GradedLLM:
    return GradedLLM({name: rule(name) for name in CONCEPTS}, **how)  # type: ignore[arg-type]


def senses(model: ScriptedModel, **how: object) -> SensesSimulation:
    return SensesSimulation(model, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("listed", "tokens"),
    [
        ("[]", []),
        ('[["the", 1, 9]]', [0, 6]),
        # A whole word goes before a piece, a piece before any other part of a word.
        ('[["an", 1, 9]]', [7]),
        ('[["itish", 1, 9]]', [4]),
        ('[["British", 1, 9]]', [3, 4]),
        ('[["riti", 1, 9]]', [3, 4]),
        # With its bars a piece is meant and no whole word.
        ('[["an|", 1, 9]]', [1]),
        ('[["|itish", 1, 9]]', [4]),
        ('[["Br|", 1, 9]]', [3]),
        ('[["Br|itish", 1, 9]]', [3, 4]),
        ('[["1|9", 1, 9]]', [8, 9]),
        ('[["|9", 1]]', [9]),
        # One place of several: by the words around it, or in turn.
        ('[["the", 1, 9, "British of the"]]', [6]),
        ('[["the", 1, "the an|cient"]]', [0]),
        ('[["the", 1, 9], ["the", 1, 0]]', [0]),
        ('[["the", 1, 9, "of the"], ["the", 1, 9, "the ancient"]]', [0, 6]),
        # Words around what stands once do not matter.
        ('[["of", 1, 9, "as it never stands"]]', [5]),
        # Another pattern is another matter.
        ('[["the", 2, 9], ["of", 1, 3]]', [5]),
    ],
)
def test_words_become_the_places_of_their_pattern(listed: str, tokens: list[int]) -> None:
    assert places_of(listed) == tokens


def test_the_same_word_counts_for_each_pattern_that_it_is_listed_for() -> None:
    listed = '[["the", 1, 4], ["the", 2, 9], ["of", 2, 1]]'
    assert places_of(listed, 1) == [0, 6]
    assert places_of(listed, 2) == [0, 5, 6]


def test_strengths_are_tenths_where_they_were_asked_for_and_1_where_not() -> None:
    listed = '[["the", 1, 4], ["of", 2, 10], ["Br|", 2]]'
    with_strengths, without = (read_one(listed, strengths=s) for s in (True, False))
    assert [with_strengths[i] for i in (0, 3, 5)] == [(0.4, 0), (0, 1), (0, 1)]
    assert [without[i] for i in (0, 3, 5)] == [(1, 0), (0, 1), (0, 1)]


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ('[["king", 1, 9]]', "'king' does not stand in the text"),
        ('[["the", 3, 9]]', "3 is not a whole pattern from 0 to 2"),
        ('[["the", 0, 9]]', "there is no pattern 0"),
        ('[["the", "one", 9]]', "'one' is not a whole pattern"),
        ('[["the", 1, 11]]', "11 is not a whole strength from 0 to 10"),
        ('[["the", 1, true]]', "True is not a whole strength"),
        ('[["the", 1, 9, 9]]', "asked for pairs of word and pattern"),
        ('[["the"]]', "asked for pairs of word and pattern"),
        ('["the", 1]', "asked for pairs of word and pattern"),
        ('{"the": 1}', "asked for a list of words"),
        ('[["the", 1, 9], ["the", 1, 9], ["the", 1, 9]]', "'the' stands 2 times and is listed 3"),
        ('[["the", 1, 9, "by the sea"]]', "'the' does not stand in a part 'by the sea'"),
    ],
)
def test_a_window_that_breaks_the_rules_says_how(listed: str, reason: str) -> None:
    found = read_one(listed)
    assert isinstance(found, str)
    assert found.startswith(reason)


def test_tokens_that_share_a_character_have_its_places_together() -> None:
    text = ShownText.of((" a", "\\xc3", "\\xa9", "t"), with_bars=True)
    [found] = read_places(replied('{"windows": [[["é", 1, 5]]]}'), [text], 1, with_strengths=True)
    assert found == ((0,), (0.5,), (0.5,), (0,))


def test_the_greatest_activation_of_the_senses_that_apply_is_predicted_by_strength() -> None:
    places = SensePlaces(((0.2, 0.0), (0.0, 1.0), (0.0, 0.0), (0.1, 0.1)))
    found = predict(having(("a", 4), ("b", 2)), places, 20.0)
    assert found[0] == pytest.approx((1.6, 4.0, 0.0, 0.8))
    assert found[1] == (0, 1, -1, 0)


def test_a_fitted_activation_goes_before_the_level_also_where_it_is_0() -> None:
    explanation = having(Sense("a", 9, activation=0.0), Sense("b", 1, activation=7.0))
    places = SensePlaces(((1.0, 0.0), (1.0, 1.0)))
    assert predict(explanation, places, 20.0) == ((0.0, 7.0), (0, 1))


def test_an_explanation_without_senses_is_one_sense_at_the_peak() -> None:
    result = judge(senses(graded_model(llm())), RIGHT, WINDOWS)
    active = [max(t.predicted or ()) for t in result.trials if t.stratum != "silent"]
    assert set(active) == {WINDOWS.peak}
    assert {s for t in result.trials for s in t.senses or ()} == {-1, 0}


def test_several_senses_predict_each_its_own_places() -> None:
    both = having(("rivers", 2), ("months", 10))
    result = asyncio.run(senses(graded_model(llm())).score(both, WINDOWS))
    assert (result.score("population").value or 0) > 0.9
    for record, trial in zip(WINDOWS.records, result.trials, strict=True):
        own = [
            (t.strip() in CONCEPTS["rivers"], t.strip() in CONCEPTS["months"])
            for t in record.tokens
        ]
        assert trial.senses == tuple(0 if r else 1 if m else -1 for r, m in own)
        assert trial.predicted == tuple(0.8 if r else 4.0 if m else 0.0 for r, m in own)


@pytest.mark.parametrize("wrong", WRONG)
def test_the_right_explanation_beats_another_in_the_same_replies(wrong: str) -> None:
    model = graded_model(llm())
    both = [saying(RIGHT), saying(wrong)]
    (right, null), places = asyncio.run(senses(model).score_together(both, WINDOWS))
    assert len(places) == len(WINDOWS.records)
    assert (right.explanation, null.explanation) == (RIGHT, wrong)
    assert len(model.requests) == 2
    value = null.score("population").value
    assert value is None or value < (right.score("population").low or 0)
    assert right.score("population") == judge(senses(graded_model(llm())), RIGHT, WINDOWS).score(
        "population"
    )


def test_the_order_of_patterns_does_not_tell_whose_they_are_and_comes_from_the_seed() -> None:
    own, other = having(*((f"own {i}", 5) for i in range(4))), having(("other", 5), ("OWN 1", 5))

    def asked(seed: int) -> list[str]:
        model = ScriptedModel(lambda _: "")
        scorer = senses(model)
        asyncio.run(scorer.places([own, other], replace(WINDOWS, seed=seed)))
        [found] = {
            tuple(re.findall(r"^Pattern \d: (.*)$", r.messages[-1].content, re.MULTILINE))
            for r in model.requests
        }
        return list(found)

    orders = [asked(seed) for seed in range(8)]
    assert orders[0] == asked(0)
    # The same description is asked about once.
    assert {len(order) for order in orders} == {5}
    assert len({order.index("other") for order in orders}) > 1


@pytest.mark.parametrize("reply", [*BAD_REPLIES, '{"windows": 3}', '{"windows": [' + "[" * 9_000])
def test_replies_that_cannot_be_read_fail_every_window(reply: str) -> None:
    model = ScriptedModel(lambda _: reply)
    both = [saying("a"), saying("b")]
    results, _ = asyncio.run(senses(model).score_together(both, WINDOWS))
    for result in results:
        assert result.n_failed == result.n_asked == len(WINDOWS.records)
        assert result.score("population").value is None


def test_a_refused_call_fails_its_windows_and_no_others() -> None:
    knows, asked = llm(), []

    def handler(request: ChatRequest) -> ChatReply | Exception:
        asked.append(1)
        return RequestRefusedError("no") if len(asked) == 1 else knows(request)

    result = judge(senses(ScriptedModel(handler), windows_per_call=7), RIGHT, WINDOWS)
    assert (result.n_failed, len(asked)) == (7, 6)
    assert {t.failure for t in result.trials if t.failure} == {"refused: no"}


def test_windows_that_do_not_fit_together_are_asked_about_in_halves() -> None:
    cut = ScriptedModel(llm(), features=Features(n_ctx=1_400))
    in_parts = judge(senses(FittingModel(cut)), RIGHT, WINDOWS)
    assert 2 < len(cut.requests) < 40
    assert in_parts == judge(senses(graded_model(llm())), RIGHT, WINDOWS)


def test_twenty_windows_are_asked_about_at_once_where_nothing_else_is_said() -> None:
    def sizes(n: int) -> list[int]:
        model = graded_model(llm())
        judge(
            SPEC.build(ScorerDependencies(model, ScoreConfig(windows_per_call=n))), RIGHT, WINDOWS
        )
        asked = (request.messages[-1].content for request in model.requests)
        return [len(re.findall(r"^\d+: ", text, re.MULTILINE)) for text in asked]

    assert sizes(1) == [20, 20]
    assert sizes(16) == [16, 16, 8]


def test_hostile_tokens_stay_within_their_lines_and_are_found_again() -> None:
    def answer(request: ChatRequest) -> str:
        lines = request.messages[-1].content.splitlines()[2:]
        assert all(line.startswith(f'{i}: "') for i, line in enumerate(lines, 1))
        return json.dumps({"windows": [[["river", 1, 5]]] * len(lines)})

    result = asyncio.run(senses(ScriptedModel(answer)).score(said("rivers"), hostile_windows()))
    assert result.n_failed == 0
    assert all(t.predicted and t.predicted[1] == t.predicted[9] == 2.0 for t in result.trials)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_whole_prompt_is_the_golden_file(version: str) -> None:
    model = ScriptedModel(lambda _: "")
    explanation = having(("cats", 9), ("the piece |at", 3))
    split = replace(SMALL.records[0], tokens=(" c", "at", " a|b", " the"))
    windows = replace(SMALL, records=(split, *SMALL.records[1:]))
    asyncio.run(senses(model, version=version).score(explanation, windows))
    golden = GOLDEN / f"simulate_senses_{version}.txt"
    assert rendered(model.requests[0]) == golden.read_text("utf-8")


def test_a_sense_with_rules_applies_where_its_program_says_and_the_reader_is_not_asked() -> None:
    ruled = Sense("of and the", 4.0, program="4: token ~ / *of/\n1: token ~ / *the/")
    model = ScriptedModel(lambda _: "")
    explanation = having(ruled)
    [[places], *_] = asyncio.run(senses(model).places([explanation], WINDOWS))
    tokens = WINDOWS.records[0].tokens
    assert not model.requests
    assert [row[0] for row in places.strengths] == [
        {"of": 1.0, "the": 0.25}.get(token.strip(), 0.0) for token in tokens
    ]


def test_senses_with_and_without_rules_stand_together_in_their_order() -> None:
    first = Sense("every token", 1.0, program="1: position > 0 or position = 0")
    explanation = having(first, (RIGHT, 10.0))
    alone, other = having((RIGHT, 10.0)), having(first)
    mixed, read, ruled = asyncio.run(
        senses(graded_model(llm())).score_together([explanation, alone, other], WINDOWS)
    )[0]
    for trial, of_reader, of_rules in zip(mixed.trials, read.trials, ruled.trials, strict=True):
        assert trial.predicted is not None
        assert of_reader.predicted is not None
        assert of_rules.predicted is not None
        assert trial.predicted == tuple(map(max, of_reader.predicted, of_rules.predicted))
        assert trial.senses is not None
        assert set(trial.senses) <= {0, 1}


def test_a_reply_that_cannot_be_read_fails_no_explanation_whose_senses_all_have_rules() -> None:
    ruled = having(Sense("every token", 1.0, program="1: position < 99"))
    broken = ScriptedModel(lambda _: "no")
    both = asyncio.run(senses(broken).score_together([ruled, having((RIGHT, 9.0))], WINDOWS))[0]
    assert [[t.failure is None for t in one.trials] for one in both] == [
        [True] * len(WINDOWS.records),
        [False] * len(WINDOWS.records),
    ]
    [one] = asyncio.run(senses(broken).score_together([ruled], WINDOWS))[0]
    assert all(trial.failure is None for trial in one.trials)


SLOW = "1: after ~ /{}.*.*=/"


def test_an_explanation_whose_rules_are_too_slow_together_is_failed_and_no_other() -> None:
    slow = having(*(Sense(c, 1.0, program=SLOW.format(c)) for c in "abcdef"))
    both = [slow, having(Sense("every token", 1.0, program="1: position < 99"))]
    found, right = asyncio.run(senses(ScriptedModel(lambda _: "")).score_together(both, WINDOWS))[0]
    assert found.n_failed == len(WINDOWS.records)
    assert "rules of its senses could take too long" in str(found.failure)
    assert right.n_failed == 0


def test_slow_rules_are_scored_on_a_draw_of_windows_with_its_weights() -> None:
    slow = Sense("q", 1.0, program=SLOW.format("q"))
    n_steps = parse_program(SLOW.format("q")).n_steps
    activations = (1.0,) * (MOST_STEPS_OF_WINDOWS // n_steps // 50)
    records = [
        replace(make_record(i, activations, "band0"), weight=1 + i / 9, influence=1 + i % 3)
        for i in range(80)
    ]
    strata = (Stratum("band0", 800, 80, 0.0, 4.0, joint=True),)
    windows = replace(WINDOWS, records=tuple(records), strata=strata, n_bootstrap=20)
    found = asyncio.run(senses(ScriptedModel(lambda _: "")).score(having(slow), windows))
    judged = {t.window: t.weight for t in found.trials if t.failure is None}
    drawn = {record.window: record.weight for record in windows.first(50).records}
    assert judged == drawn
    assert (len(judged), found.n_failed) == (50, 30)
    assert list(judged) != [record.window for record in windows.records[:50]]


def test_slow_rules_are_run_on_as_many_windows_as_are_in_time() -> None:
    one = parse_program(SLOW.format("a")).n_steps
    n_tokens = MOST_STEPS_OF_WINDOWS // one
    assert n_windows_in_time(one, [n_tokens // 2] * 3) == 2
    assert n_windows_in_time(one, [1, n_tokens + 1]) == n_windows_in_time(one, [n_tokens + 1]) == 0
    assert n_windows_in_time(MOST_STEPS + 1, [1]) == 0
    assert n_windows_in_time(0, [10**6] * 9) == 9


def test_the_reader_is_asked_once_about_descriptions_that_say_the_same() -> None:
    model = ScriptedModel(lambda _: "")
    own, other = having(('the word "May".', 5.0)), having(("The word  may", 5.0))
    asyncio.run(senses(model).places([own, other], WINDOWS))
    asked = model.requests[0].messages[-1].content
    assert re.findall(r"^Pattern .*$", asked, re.MULTILINE) == ['Pattern 1: the word "May".']


def test_what_the_llm_says_of_windows_is_read_without_running_a_rule() -> None:
    of_a_later_version = Sense("odd", 5.0, program="5: not known here")
    mixed = having(("months", 10), of_a_later_version)
    [one, *_] = asyncio.run(senses(graded_model(llm())).readings([mixed], WINDOWS))
    assert [len(token) for token in one[0]] == [1] * len(WINDOWS.records[0].tokens)
