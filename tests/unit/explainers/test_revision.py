"""Revision runs the LLM's own texts through the unit, and the original always stays."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from explainer_cases import INPUTS, TableProbe, rendered

from autointerp.core.config import ExplainConfig
from autointerp.core.errors import InputError, RequestRefusedError
from autointerp.explainers import ExplainerDependencies, ExplainInputs
from autointerp.explainers.explainer import Explained
from autointerp.explainers.revision import Revision
from autointerp.explainers.token_activation import TokenActivation
from autointerp.llm import (
    ChatReply,
    ChatRequest,
    Features,
    Handler,
    PromptTooLongError,
    ScriptedModel,
    Usage,
)

GOLDEN = Path(__file__).parents[2] / "golden"
TEXTS = {"active": ["the river runs", "a wide stream"], "silent": ["the road runs"]}
RIVER = TableProbe(river=3.0, road=2.0)


def answering(texts: object, *revised: object, features: Features | None = None) -> ScriptedModel:
    """Says "rivers", then gives texts, then revises."""
    return ScriptedModel(answers(texts, *revised), features=features or Features())


def answers(texts: object, *revised: object) -> Handler:
    revisions = iter(revised)

    def handler(request: ChatRequest) -> str | ChatReply | Exception:
        content = request.messages[0].content
        if "tests an explanation" in content:
            made = texts
        elif "written to test it" in content:
            made = next(revisions)
        else:
            made = {"explanation": "rivers"}
        return made if isinstance(made, str | ChatReply | Exception) else json.dumps(made)

    return handler


def revised(
    model: ScriptedModel, inputs: ExplainInputs | None = None, *, n_rounds: int = 1
) -> Explained:
    config = ExplainConfig(n_samples=1, n_counterexamples=2, n_revisions=n_rounds)
    dependencies = ExplainerDependencies(model, config, seed=0)
    explainer = Revision(TokenActivation(dependencies), dependencies)
    return asyncio.run(explainer.explain(inputs or replace(INPUTS, probe=RIVER)))


def texts_of(found: Explained) -> list[str]:
    return [explanation.text for explanation in found.explanations]


def test_the_texts_are_measured_and_both_answers_stay() -> None:
    probe = TableProbe(river=3.0, road=2.0)
    model = answering(TEXTS, {"explanation": "rivers and roads"})
    found = revised(model, replace(INPUTS, probe=probe))
    assert probe.asked == ["the river runs", "a wide stream", "the road runs"]
    assert texts_of(found) == ["rivers", "rivers and roads"]
    assert [e.explainer for e in found.explanations] == ["token_activation", "revision"]
    assert found.failures == ()


@pytest.mark.parametrize(("place", "name"), [(1, "counterexamples"), (2, "revision")])
def test_the_whole_prompts_are_the_golden_files(place: int, name: str) -> None:
    model = answering(TEXTS, {"explanation": "rivers and roads"})
    revised(model)
    golden = GOLDEN / f"explain_{name}_v1.txt"
    assert rendered(model.requests[place]) == golden.read_text(encoding="utf-8")


def test_rounds_are_bounded_and_each_begins_with_the_last_answer() -> None:
    model = answering(TEXTS, {"explanation": "b"}, {"explanation": "c"}, {"explanation": "d"})
    assert texts_of(revised(model, n_rounds=2)) == ["rivers", "b", "c"]
    assert 'Explanation: "b"' in model.requests[3].messages[1].content


def test_an_explanation_that_is_repeated_ends_the_rounds() -> None:
    model = answering(TEXTS, {"explanation": "Rivers"})
    assert texts_of(revised(model, n_rounds=5)) == ["rivers"]
    assert len(model.requests) == 3


def test_finding_no_pattern_after_all_is_said_and_the_original_stays() -> None:
    found = revised(answering(TEXTS, {"explanation": "no single pattern"}))
    assert (texts_of(found), found.found_no_pattern) == (["rivers"], True)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ("", "held nothing"),
        ("As an AI I cannot", "refusal"),
        ("<think>", "only reasoning"),
        ({"active": ["a"]}, 'no.* list of texts under "silent"'),
        ({"active": "a", "silent": []}, 'list of texts under "active"'),
        ({"active": ["a", 7], "silent": []}, 'list of texts under "active"'),
        ({"active": [" "], "silent": ["a"]}, 'no text under "active"'),
        ({"active": ["a", "b", "c"], "silent": []}, '3 texts under "active", at most 2'),
        ({"active": ["a" * 301], "silent": []}, "301 characters, at most 300"),
        (ChatReply('{"active": ["a', "length", None, Usage(), "m"), "cut off"),
        (RequestRefusedError("content policy"), "content policy"),
    ],
)
def test_texts_that_cannot_be_used_are_a_failure_and_the_original_stays(
    texts: object, reason: str
) -> None:
    found = revised(answering(texts))
    assert texts_of(found) == ["rivers"]
    [failure] = found.failures
    with pytest.raises(InputError, match=f"revision round 0: .*{reason}"):
        raise InputError(failure)


def test_a_revision_that_cannot_be_read_is_a_failure() -> None:
    found = revised(answering(TEXTS, "hm", "hm"))
    assert texts_of(found) == ["rivers"]
    assert found.failures[0].startswith("revision round 0: the reply is not JSON")


def test_without_a_probe_it_says_so() -> None:
    found = revised(answering(TEXTS), INPUTS)
    assert texts_of(found) == ["rivers"]
    assert found.failures == ("revision: the subject model is not at hand to run texts through",)


class NoTokens(TableProbe):
    """A probe for whose tokenizer a text may have no token."""

    async def measure(self, unit, texts):
        raise InputError(f"the text {texts[0]!r} has no token")


def test_texts_that_the_subject_cannot_read_are_a_failure() -> None:
    found = revised(answering(TEXTS), replace(INPUTS, probe=NoTokens()))
    assert texts_of(found) == ["rivers"]
    assert found.failures == ("revision round 0: the text 'the river runs' has no token",)


def test_nothing_to_revise_asks_nothing_more() -> None:
    model = ScriptedModel(lambda _: '{"explanation": "no single pattern"}')
    found = revised(model)
    assert (found.explanations, found.found_no_pattern) == ((), True)
    assert len(model.requests) == 1


class LearningModel(ScriptedModel):
    """Takes any prompt until one of so many letters is asked; knows its context from then on."""

    def __init__(self, handler: Handler, *, most: int, n_ctx: int) -> None:
        super().__init__(handler)
        self._most, self._n_ctx, self._known = most, n_ctx, Features()

    @property
    def features(self) -> Features:
        return self._known

    async def reply(self, request: ChatRequest) -> ChatReply:
        if sum(len(m.content) for m in request.messages) <= self._most:
            return await super().reply(request)
        self._requests.append(request)
        self._known = Features(n_ctx=self._n_ctx)
        raise PromptTooLongError("the prompt does not fit")


def test_a_context_that_is_learnt_midway_has_the_prompt_rendered_again() -> None:
    long = {"active": ["stone " * 49 + "river", "b " * 149], "silent": ["road " * 60]}
    better = {"explanation": "rivers and roads"}
    model = LearningModel(answers(long, better), most=1_400, n_ctx=1_100)
    found = revised(model, replace(INPUTS, probe=RIVER))
    assert texts_of(found) == ["rivers", "rivers and roads"]
    assert found.failures == ()
    first, again = model.requests[-2:]
    assert len(again.messages[1].content) < len(first.messages[1].content)


def test_a_context_that_stays_too_short_is_told_once() -> None:
    long = {"active": ["stone " * 49 + "river", "b " * 149], "silent": ["road " * 60]}
    model = LearningModel(answers(long), most=1_400, n_ctx=880)
    found = revised(model, replace(INPUTS, probe=RIVER))
    assert texts_of(found) == ["rivers"]
    assert "more than the model's context of 880" in found.failures[0]


def test_long_texts_are_cut_to_the_context_and_a_context_too_short_is_a_failure() -> None:
    long = {"active": ["stone " * 49 + "river", "b " * 149], "silent": ["road " * 60]}
    probe = replace(INPUTS, probe=RIVER)
    better = {"explanation": "rivers and roads"}
    model = answering(long, better, features=Features(n_ctx=1_100))
    assert texts_of(revised(model, probe)) == ["rivers", "rivers and roads"]
    asked = model.requests[-1].messages
    assert sum(len(m.content) for m in asked) / 3 + 400 <= 1_100
    tight = answering(long, better, features=Features(n_ctx=880))
    assert "more than the model's context" in revised(tight, probe).failures[0]
