"""The token-activation explainer asks, asks once more with the reason, and then gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from factories import make_sets

from autointerp.core.config import ExplainConfig
from autointerp.core.records import TokenMeans
from autointerp.explainers import Explained, ExplainEvidence, TokenActivation
from autointerp.llm import ChatRequest, Features, ScriptedModel

GOLDEN = Path(__file__).parents[2] / "golden"


class Pieces:
    """A tokenizer whose tokens are numbers."""

    name, bos_id = "numbers", None

    def encode(self, text: str) -> list[int]:
        return [int(word) for word in text.split()]

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(f" {i}" for i in token_ids)


EVIDENCE = ExplainEvidence(
    make_sets().explain, TokenMeans(means={1: 1.0}, counts={1: 1}, overall=0.1), Pieces()
)


def explained(model: ScriptedModel, **config: object) -> Explained:
    settings = ExplainConfig.model_validate({"n_samples": 1, **config})
    return asyncio.run(TokenActivation(model, settings, seed=0).explain(EVIDENCE))


def test_an_unreadable_reply_is_asked_for_once_more_with_the_reason() -> None:
    replies = iter(["", '{"explanation": "cats"}'])
    model = ScriptedModel(lambda _: next(replies))
    assert [e.text for e in explained(model).explanations] == ["cats"]
    first, second = model.requests
    assert second.messages[: len(first.messages)] == first.messages
    assert "the reply held nothing" in second.messages[-1].content


def test_two_unreadable_replies_are_a_failure_and_no_explanation() -> None:
    found = explained(ScriptedModel(lambda _: "I'm sorry, no."))
    assert found.explanations == ()
    assert found.failures == (
        'token_activation answer 0: the reply is a refusal: "I\'m sorry, no."',
    )


def test_equal_answers_are_one_candidate_and_samples_differ_in_temperature() -> None:
    model = ScriptedModel(lambda _: '{"explanation": "Cats"}')
    found = explained(model, n_samples=3)
    assert len(found.explanations) == 1
    assert [r.temperature for r in model.requests] == [0.0, 0.8, 0.8]
    assert len({r.seed for r in model.requests}) == 3


def test_no_single_pattern_is_an_answer() -> None:
    found = explained(ScriptedModel(lambda _: '{"explanation": "No single pattern"}'))
    assert found.found_no_pattern
    assert found.explanations == found.failures == ()


def rendered(request: ChatRequest) -> str:
    return "\n".join(f"=== {m.role}\n{m.content}" for m in request.messages) + "\n"


@pytest.mark.parametrize(("version", "small"), [("v1", False), ("v2", True)])
def test_the_whole_prompt_is_the_golden_file(version: str, small: bool) -> None:
    reply = "cats" if small else '{"explanation": "cats"}'
    model = ScriptedModel(lambda _: reply, features=Features(small=small))
    explained(model)
    golden = GOLDEN / f"explain_token_activation_{version}.txt"
    assert rendered(model.requests[0]) == golden.read_text(encoding="utf-8")
