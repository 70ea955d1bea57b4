"""Simulation from lists of the active words: what is asked, what is read, what fails and why."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_sets
from graded_llm import GradedLLM, Rule, graded_model
from graded_words import listed_words
from hostile import hostile_windows, said
from hypothesis import example, given
from hypothesis import strategies as st
from judged_text import BAD_REPLIES, CONCEPTS, RIGHT, WRONG, judge, make_windows, rendered

from autointerp.core.config import ScoreConfig
from autointerp.core.errors import RequestRefusedError
from autointerp.llm import ChatReply, ChatRequest, Features, FittingModel, ScriptedModel, Usage
from autointerp.scorers import ScorerDependencies, ScoringSet
from autointerp.scorers.simulation.listed_words import ShownText
from autointerp.scorers.simulation.words_simulation import (
    SPEC,
    WORDS_PER_CALL,
    WordsSimulation,
    read_words,
)

GOLDEN = Path(__file__).parents[2] / "golden"
WINDOWS = make_windows()
SMALL = ScoringSet.of(make_sets().held_out, seed=0, n_bootstrap=200, confidence=0.95)
TEXT = (" the", " old", " Mar", "seille", " of", " the", ",", " and", "\n")


def replied(text: str, *, finish: str = "stop") -> ChatReply:
    return ChatReply(text, finish, None, Usage(), "m")


def read_one(listed: str, tokens: Sequence[str] = TEXT) -> tuple[float, ...] | str:
    [found] = read_words(replied(f'{{"windows": [{listed}]}}'), [ShownText.of(tokens)], top=10)
    return found


def read_three(text: str, *, finish: str = "stop") -> list[tuple[float, ...] | str]:
    return read_words(replied(text, finish=finish), [ShownText.of((" a", " b"))] * 3, top=10)


def rule(concept: str) -> Rule:
    return lambda tokens: [10 if t.strip() in CONCEPTS[concept] else 0 for t in tokens]


def llm(**how: object) -> GradedLLM:
    return GradedLLM({name: rule(name) for name in CONCEPTS}, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("listed", "levels"),
    [
        ("[]", (0, 0, 0, 0, 0, 0, 0, 0, 0)),
        ('[["old", 3]]', (0, 3, 0, 0, 0, 0, 0, 0, 0)),
        ('[[" old", 3], ["and", 10]]', (0, 3, 0, 0, 0, 0, 0, 10, 0)),
        # All tokens of a word; once for every place, or each place in order.
        ('[["Marseille", 4]]', (0, 0, 4, 4, 0, 0, 0, 0, 0)),
        ('[["the", 2]]', (2, 0, 0, 0, 0, 2, 0, 0, 0)),
        ('[["the", 2], ["the", 0]]', (2, 0, 0, 0, 0, 0, 0, 0, 0)),
        # A phrase, a part of a word, what is no word, the greater of two.
        ('[["old Marseille", 4], ["Marseille", 2]]', (0, 4, 4, 4, 0, 0, 0, 0, 0)),
        ('[["seil", 5]]', (0, 0, 0, 5, 0, 0, 0, 0, 0)),
        ('[[",", 6], ["\\n", 7]]', (0, 0, 0, 0, 0, 0, 6, 0, 7)),
    ],
)
def test_words_become_levels_of_their_tokens(listed: str, levels: tuple[float, ...]) -> None:
    assert read_one(listed) == levels


def test_a_word_within_another_is_meant_only_where_it_stands_nowhere_alone() -> None:
    assert read_one('[["an", 1]]', (" an", " and")) == (1, 0)
    assert read_one('[["an", 1]]', (" man", " and")) == (1, 1)
    assert read_one('[["水", 1]]', ("喝", "水", "吧")) == (0, 1, 0)


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ('[["young", 1]]', "'young' does not stand in the text"),
        ('[["Old", 1]]', "'Old' does not stand in the text"),
        ('[["", 1]]', "'' does not stand in the text"),
        ('[[" ", 1]]', "' ' does not stand in the text"),
        ('[["old", 11]]', "11 is not a whole level from 0 to 10"),
        ('[["old", -1]]', "-1 is not a whole level"),
        ('[["old", 2.5]]', "2.5 is not a whole level"),
        ('[["old", "high"]]', "'high' is not a whole level"),
        ('[["old", true]]', "True is not a whole level"),
        ('[["of", 1], ["of", 1]]', "'of' stands 1 times and is listed 2 times"),
        ('[["the", 1], ["the", 1], ["the", 1]]', "'the' stands 2 times and is listed 3 times"),
        ('["old", 1]', "asked for pairs of word and level, found 'old'"),
        ('[["old", 1, 1]]', "asked for pairs of word and level"),
        ("[[1, 1]]", "asked for pairs of word and level"),
        ('{"old": 1}', "asked for a list of words"),
        ("3", "asked for a list of words"),
    ],
)
def test_a_window_that_breaks_the_rules_says_how(listed: str, reason: str) -> None:
    found = read_one(listed)
    assert isinstance(found, str)
    assert found.startswith(reason)


def test_a_window_that_cannot_be_read_fails_alone() -> None:
    assert read_three('{"windows": [[["a", 1]], [["c", 1]], [["b", 2]]]}') == [
        (1, 0),
        "'c' does not stand in the text",
        (0, 2),
    ]


@pytest.mark.parametrize(("lists", "n"), [("[], []", 2), ("[], [], [], []", 4), ("", 0)])
def test_too_few_or_too_many_lists_fail_every_window(lists: str, n: int) -> None:
    found = read_three(f'{{"windows": [{lists}]}}')
    assert found == [f"asked for 3 windows, found {n}"] * 3


def test_a_reply_that_breaks_off_loses_only_the_windows_behind() -> None:
    text = '{"windows": [[["a", 1]], [["b", 2'
    cut = "the reply was cut off at its token limit"
    assert read_three(text, finish="length") == [(1, 0), cut, cut]
    first, *others = read_three(text)
    assert first == (1, 0)
    assert all(str(other).startswith("window 2 is not JSON") for other in others)
    assert read_three('{"windows": [[], [], []', finish="length") == [(0, 0)] * 3


def test_text_around_the_reply_and_lists_thought_of_before_do_not_matter() -> None:
    text = (
        'First {"windows": [[["b", 1]]]}, no:\n```json\n{ "windows" :\n[ [["a", 1]] , [], [] ]}```'
    )
    assert read_three(text) == [(1, 0), (0, 0), (0, 0)]


@pytest.mark.parametrize("reply", [*BAD_REPLIES, '{"windows": 3}', '{"windows": [' + "[" * 9_000])
def test_replies_that_cannot_be_read_fail_every_window(reply: str) -> None:
    result = judge(WordsSimulation(ScriptedModel(lambda _: reply)), RIGHT, WINDOWS)
    assert result.n_failed == result.n_asked == len(WINDOWS.records)
    assert result.score("population").value is None


def test_a_refused_call_fails_its_windows_and_no_others() -> None:
    knows, asked = llm(), []

    def handler(request: ChatRequest) -> ChatReply | Exception:
        asked.append(1)
        return RequestRefusedError("no") if len(asked) == 1 else knows(request)

    result = judge(WordsSimulation(ScriptedModel(handler), windows_per_call=7), RIGHT, WINDOWS)
    assert (result.n_failed, len(asked)) == (7, 6)
    assert {t.failure for t in result.trials if t.failure} == {"refused: no"}
    assert [t.window for t in result.trials] == [r.window for r in WINDOWS.records]


@given(
    st.lists(st.sampled_from([" a", "a", "b", " ", ",", "\n\n", " é", "\ufffd", "水"]), max_size=12)
)
@example([" a", "a", " a"])
def test_words_listed_by_who_knows_every_level_come_back_at_least_as_high(
    tokens: list[str],
) -> None:
    levels = [1 + i % 10 if i % 3 else 0 for i in range(len(tokens))]
    body = json.dumps({"windows": [listed_words(tokens, levels)]})
    [found] = read_words(replied(f"Here:\n{body}"), [ShownText.of(tokens)], top=10)
    assert not isinstance(found, str)
    assert all(read >= level for read, level in zip(found, levels, strict=True))


def test_sixteen_windows_are_asked_about_at_once_where_nothing_else_is_said() -> None:
    def sizes(n: int) -> list[int]:
        model = graded_model(llm())
        scorer = SPEC.build(ScorerDependencies(model, ScoreConfig(windows_per_call=n)))
        judge(scorer, RIGHT, WINDOWS)
        asked = (request.messages[-1].content for request in model.requests)
        return [len(re.findall(r"^\d+: ", text, re.MULTILINE)) for text in asked]

    assert sizes(1) == [WORDS_PER_CALL, 16, 8]
    assert sizes(20) == [20, 20]


def test_windows_that_do_not_fit_together_are_asked_about_in_halves() -> None:
    model = graded_model(llm())
    together = judge(WordsSimulation(FittingModel(model), windows_per_call=20), RIGHT, WINDOWS)
    cut = ScriptedModel(llm(), features=Features(n_ctx=1_000))
    in_parts = judge(WordsSimulation(FittingModel(cut), windows_per_call=20), RIGHT, WINDOWS)
    assert len(model.requests) == 2 < len(cut.requests) < 40
    assert in_parts.n_failed == together.n_failed == 0
    assert in_parts.scores == together.scores


def test_hostile_tokens_stay_within_their_lines_and_are_found_again() -> None:
    model = ScriptedModel(answer_river)
    result = asyncio.run(WordsSimulation(model).score(said("rivers"), hostile_windows()))
    assert result.n_failed == 0
    assert all(t.predicted and t.predicted[1] == t.predicted[9] == 2.0 for t in result.trials)
    for request in model.requests:
        request.messages[-1].content.encode()


def answer_river(request: ChatRequest) -> str:
    lines = request.messages[-1].content.splitlines()[2:]
    assert all(line.startswith(f'{i}: "') and line.endswith('"') for i, line in enumerate(lines, 1))
    return json.dumps({"windows": [[["river", 5]]] * len(lines)})


@pytest.mark.parametrize("wrong", WRONG)
def test_the_right_explanation_beats_each_wrong_one(wrong: str) -> None:
    right = judge(WordsSimulation(graded_model(llm())), RIGHT, WINDOWS).score("population")
    score = judge(WordsSimulation(graded_model(llm())), wrong, WINDOWS).score("population")
    assert (right.value or 0) >= 0.98
    assert score.value is None or score.value < (right.low or 0)


def test_the_whole_prompt_without_bars_is_the_golden_file() -> None:
    model = ScriptedModel(lambda _: "")
    judge(WordsSimulation(model, windows_per_call=3, version="v2"), "cats", SMALL)
    assert rendered(model.requests[0]) == (GOLDEN / "simulate_sparse_v2.txt").read_text("utf-8")


def test_with_bars_a_part_of_a_word_can_be_named_and_the_prompt_is_the_golden_file() -> None:
    split = replace(SMALL.records[0], tokens=(" Br", "itish", " a|b", " itish"))
    windows = replace(SMALL, records=(split,))
    model = ScriptedModel(lambda _: '{"windows": [[["|itish", 10], ["Br|", 5]]]}')
    [trial] = judge(WordsSimulation(model), "pieces", windows).trials
    assert trial.predicted == (2.0, 4.0, 0.0, 0.0)
    golden = GOLDEN / "simulate_sparse_v5.txt"
    assert rendered(model.requests[0]) == golden.read_text("utf-8")
