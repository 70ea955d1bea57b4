"""The table of a job's labels: narrow, wide, long texts, and what else was said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import make_label
from rich.console import Console

from autointerp.cli.rendering.label_table import result_table
from autointerp.core.explanations import Candidate, Explanation, Label

LOOKUP = "the tokens " + ", ".join(f'" word{n}"' for n in range(40))


def by_lookup(text: str, validation: float | None) -> Label:
    """A label made by token lookup, beside an answer of an LLM."""
    chosen = Explanation(text, "token_lookup", None, None, None, 0)
    answer = Explanation("names of rivers", "token_activation", "m", None, 0.0, 0)
    candidates = (
        Candidate(answer, validation, None if validation is not None else "why", chosen=False),
        Candidate(chosen, 0.5, None, chosen=True),
    )
    return replace(make_label(), explanation=chosen, candidates=candidates)


def printed(label: Label, width: int) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(result_table([label], width=width))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= width
    return " ".join(" ".join(lines).split())


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_long_list_of_tokens_is_cut_between_two_of_them(width: int) -> None:
    shown = printed(by_lookup(LOOKUP, 0.1), width)
    assert "…" in shown
    assert "word0" in shown
    assert "word30" not in shown


def test_an_llms_best_answer_stands_below_the_rules_that_beat_it() -> None:
    shown = printed(by_lookup("the token x", 0.12), 160)
    assert "LLM: names of rivers (0.12 on validation)" in shown


@pytest.mark.parametrize("label", [make_label(), by_lookup("the token x", None)])
def test_nothing_stands_there_without_an_answer_that_was_tried(label: Label) -> None:
    assert "LLM:" not in printed(label, 160)
