"""Programs that an LLM proposes are parsed, refused with the parser's sentence, and asked again."""

from __future__ import annotations

import pytest
from explainer_cases import ask

from autointerp.core.errors import InputError
from autointerp.explainers.program import program_explanation, read_program
from autointerp.llm import ScriptedModel
from autointerp.llm.answers import NoAnswerError
from autointerp.programs.language import parse_program

RULES = '10: token = " river"\n3: previous = " the"'


@pytest.mark.parametrize("reply", [RULES, f"```\n{RULES}\n```", f"Here:\n```text\n{RULES}\n```\n."])
def test_a_program_becomes_an_explanation_on_one_line(reply: str) -> None:
    [explanation] = ask("program", ScriptedModel(lambda _: reply)).explanations
    assert explanation.text == '10: token = " river"; 3: previous = " the"'
    assert explanation.program == RULES
    assert parse_program(explanation.program).levels((" the", " river")) == (0, 10)


def test_a_program_that_cannot_be_read_is_asked_for_again_with_the_parsers_sentence() -> None:
    replies = iter(['10: token = " river"\n3: tokens = "x"', RULES])
    model = ScriptedModel(lambda _: next(replies))
    assert ask("program", model).explanations[0].program == RULES
    advice = model.requests[1].messages[-1].content
    assert "line 2: expected token = " in advice
    assert "at 'tokens'" in advice


def test_programs_that_differ_in_case_are_two() -> None:
    replies = iter(['9: token = "A"', '9: token = "a"', '9: token = "a"'])
    found = ask("program", ScriptedModel(lambda _: next(replies)), n_samples=3)
    assert [e.program for e in found.explanations] == ['9: token = "A"', '9: token = "a"']


def test_no_single_pattern_is_an_answer() -> None:
    found = ask("program", ScriptedModel(lambda _: "```\nNo single pattern.\n```"))
    assert found.found_no_pattern
    assert found.explanations == found.failures == ()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "held nothing"),
        ("I'm sorry, I can't", "a refusal"),
        ("<think>hm", "only reasoning"),
        ("words about rivers", "line 1: a rule begins with a number"),
        ("```\n```", "has no rule"),
        ("\n".join(f'{i % 10}: token = "{i}"' for i in range(13)), "13 rules, at most 12"),
        ("9: token ~ /(a+)+b/", "line 1: .* could take too long"),
    ],
)
def test_a_reply_without_a_program_says_why(reply: str, reason: str) -> None:
    with pytest.raises(NoAnswerError, match=reason):
        read_program(reply)


def test_a_person_can_write_one() -> None:
    explanation = program_explanation('# rivers\n10: token = " river"\n')
    assert (explanation.text, explanation.model) == ('10: token = " river"', None)
    with pytest.raises(InputError, match="line 1: "):
        program_explanation("rivers")
