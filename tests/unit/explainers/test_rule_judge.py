"""An LLM as the judge of blinded items: what it is shown, and what it is taken to say."""

from __future__ import annotations

import asyncio
import json

import pytest

from autointerp.core.blind_study import Answer, Firing, ItemVerdict, StudyItem
from autointerp.explainers.prompting import UnansweredError
from autointerp.explainers.rule_judge import RuleJudge
from autointerp.llm import ScriptedModel
from autointerp.templates import prompt_versions


def item(*peaks: str) -> StudyItem:
    firings = (Firing((" x <<", peak, " 2;"), (0, 10, 0), 1) for peak in peaks)
    return StudyItem("0123456789ab", tuple(firings))


def said(answer: object, one: StudyItem) -> tuple[ItemVerdict, str]:
    model = ScriptedModel(lambda _: answer if isinstance(answer, str) else json.dumps(answer))
    verdict = asyncio.run(RuleJudge(model).verdict(one))
    return verdict, model.requests[0].messages[-1].content


def test_nothing_of_a_text_passes_for_a_mark_of_the_token() -> None:
    _, prompt = said({"rule": "none", "covered": []}, item(" 1", "s", "<<"))
    lines = [line for line in prompt.splitlines() if line[:1].isdigit()]
    assert lines == [
        '1: " x \\u003c\\u003c<< 1>> 2;"',
        '2: " x \\u003c\\u003c<<\\u0073>> 2;"',
        '3: " x \\u003c\\u003c<<\\u003c\\u003c>> 2;"',
    ]


@pytest.mark.parametrize(
    ("covered", "answer"), [([1, 2, 3, 4], Answer.YES), ([1, 2, 3, 3, 1], Answer.NO)]
)
def test_four_of_five_different_texts_are_enough(covered: list[int], answer: Answer) -> None:
    verdict, _ = said({"rule": "numbers", "covered": covered}, item("1", "2", "3", "4", "x"))
    assert (verdict.answer, verdict.rule) == (answer, "numbers")
    assert verdict.n_covered == len(set(covered))


def test_texts_without_a_rule_are_not_covered() -> None:
    verdict, _ = said({"rule": "None.", "covered": [1, 2, 3, 4, 5]}, item(*"12345"))
    assert (verdict.answer, verdict.rule, verdict.n_covered) == (Answer.NO, None, 0)


@pytest.mark.parametrize(
    "answer",
    [
        "I would rather not.",
        {"rule": "numbers"},
        {"rule": 3, "covered": [1]},
        {"rule": "numbers", "covered": [0]},
        {"rule": "numbers", "covered": [6]},
        {"rule": "numbers", "covered": [True]},
        {"rule": "numbers", "covered": "all"},
    ],
)
def test_what_cannot_be_read_is_no_verdict(answer: object) -> None:
    with pytest.raises(UnansweredError):
        said(answer, item(*"12345"))


def test_verdicts_are_of_a_prompt_as_another_would_be_another_judge() -> None:
    newest = prompt_versions("judge_single_rule")[-1]
    verdict, _ = said({"rule": "none", "covered": []}, item("1"))
    assert verdict.judge == f"LLM scripted (prompt {newest})"
