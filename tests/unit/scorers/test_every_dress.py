"""Whatever thoughts stand before an answer, every scorer reads the same, or fails every trial."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from graded_llm import GradedLLM, Rule
from judged_text import CONCEPTS, RIGHT, WRONG, judge, make_windows, saying
from reply_dresses import DRESSES, Dress
from texts_by_explanation import CATS
from texts_by_explanation import WINDOWS as OF_CATS

from autointerp.core.scores import ScorerResult
from autointerp.llm import (
    ChatModel,
    ChatReply,
    ChatRequest,
    Features,
    ScriptedModel,
    TokenChoice,
)
from autointerp.scorers import Scorer
from autointerp.scorers.adaptive import score_until
from autointerp.scorers.contrast import Contrast
from autointerp.scorers.detection import Detection
from autointerp.scorers.discrimination import Discrimination
from autointerp.scorers.fuzzing import Fuzzing
from autointerp.scorers.generative import Generative
from autointerp.scorers.input_based import InputTest
from autointerp.scorers.responsiveness import Responsiveness
from autointerp.scorers.simulation.dense_simulation import Simulation
from autointerp.scorers.simulation.senses_simulation import SensesSimulation
from autointerp.scorers.simulation.sparse_simulation import SparseSimulation
from autointerp.scorers.simulation.words_simulation import WordsSimulation

JSON_FORMS: dict[str, Callable[[object], str]] = {
    "python": repr,
    "commas": lambda value: re.sub(r"([\]}])", r",\1", json.dumps(value)).replace("[,]", "[]"),
    "comments": lambda value: json.dumps(value, indent=1).replace("\n", " // so\n"),
    "hashes": lambda value: json.dumps(value, indent=1).replace("\n", " # 7\n"),
    "typographic": lambda value: re.sub(r'"(.*?)"', r"“\1”", json.dumps(value)),
}
WINDOWS = replace(make_windows(others=WRONG), n_bootstrap=20)
SCORERS: dict[str, Callable[[ChatModel], Scorer]] = {
    "simulation": Simulation,
    "simulation_digits": Simulation,
    "simulation_all_at_once": lambda model: Simulation(model, windows_per_call=5),
    "simulation_sparse": lambda model: SparseSimulation(model, windows_per_call=5),
    "simulation_words": WordsSimulation,
    "simulation_senses": SensesSimulation,
    "detection": Detection,
    "detection_lists": lambda model: Detection(model, windows_per_call=7),
    "contrast": Contrast,
    "fuzzing": Fuzzing,
    "responsiveness": Responsiveness,
    "discrimination": Discrimination,
    "input_test": InputTest,
    "generative": Generative,
}


def rule(concept: str) -> Rule:
    return lambda tokens: [10 if t.strip() in CONCEPTS[concept] else 0 for t in tokens]


def scored(
    name: str, dressed: Callable[[ChatReply], ChatReply], *, logprobs: bool = False
) -> ScorerResult:
    llm = GradedLLM(
        {concept: rule(concept) for concept in CONCEPTS},
        ability=0.8 if logprobs else 1.0,
        words={"cats": "cats"},
        logprobs=logprobs,
    )
    features = Features(small=name.endswith("digits"), logprobs=logprobs)
    model = ScriptedModel(lambda request: dressed(llm(request)), features=features)
    if name in {"input_test", "generative"}:
        windows = replace(OF_CATS, n_bootstrap=20)
        return judge(SCORERS[name](model), CATS.text, windows)
    return judge(SCORERS[name](model), RIGHT, WINDOWS)


@cache
def plainly_scored(name: str, *, logprobs: bool = False) -> ScorerResult:
    """With each answer by itself, which every row of a scorer is compared with."""
    return scored(name, lambda reply: reply, logprobs=logprobs)


def decoy(text: str) -> str:
    """Another answer of the same shape."""
    try:
        return json.dumps(_other(json.loads(text)))
    except ValueError:
        return {"yes": "no", "no": "yes"}.get(text, "01")


def _other(value: object) -> object:
    if isinstance(value, dict):
        return {key: _other(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_other(one) for one in value]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return int("".join(str(9 - int(digit)) for digit in str(value)))
    return f"other than {value}"


def in_dress(dress: Dress) -> Callable[[ChatReply], ChatReply]:
    """The reply with its tokens, where it has any, behind those of what comes before."""

    def _dressed(reply: ChatReply) -> ChatReply:
        text = dress.text(reply.text, decoy=f"Hm, maybe {decoy(reply.text)} or so")
        before, _, behind = text.rpartition(reply.text)
        if reply.tokens is None:
            return replace(reply, text=text)
        around = [TokenChoice(part, 0.0, ((part, 0.0),)) for part in _pieces(before)]
        tail = [TokenChoice(part, 0.0, ((part, 0.0),)) for part in _pieces(behind)]
        return replace(reply, text=text, tokens=(*around, *reply.tokens, *tail))

    return _dressed


def _pieces(text: str) -> list[str]:
    return re.findall(r"\w+|\W", text)


@pytest.mark.parametrize("dress", DRESSES, ids=lambda dress: dress.name)
@pytest.mark.parametrize("name", SCORERS)
def test_every_scorer_reads_the_answer_behind_thoughts(name: str, dress: Dress) -> None:
    assert scored(name, in_dress(dress)) == plainly_scored(name)


@pytest.mark.parametrize("form", JSON_FORMS)
@pytest.mark.parametrize("name", SCORERS)
def test_every_scorer_reads_json_in_every_common_form(name: str, form: str) -> None:
    def written(reply: ChatReply) -> ChatReply:
        try:
            value = json.loads(reply.text)
        except ValueError:
            return reply
        return replace(reply, text=JSON_FORMS[form](value))

    assert scored(name, written) == plainly_scored(name)


@pytest.mark.parametrize("dress", DRESSES, ids=lambda dress: dress.name)
@pytest.mark.parametrize("name", ["simulation", "simulation_all_at_once", "detection", "fuzzing"])
def test_log_probabilities_are_those_of_the_answer(name: str, dress: Dress) -> None:
    plain = plainly_scored(name, logprobs=True)
    assert scored(name, in_dress(dress), logprobs=True) == plain
    assert any(t.probability is not None or t.predicted for t in plain.trials)


@pytest.mark.parametrize(
    "form",
    ["<think>ANSWER</think>", "ANSWER\n</think>\n", "[THINK]ANSWER", "◁think▷ANSWER◁/think▷"],
)
@pytest.mark.parametrize("name", SCORERS)
def test_an_answer_in_thoughts_alone_fails_and_says_so(name: str, form: str) -> None:
    result = scored(name, in_dress(Dress("", form)))
    assert result.n_judged == 0
    assert all("only reasoning and no answer" in (t.failure or "") for t in result.trials)
    assert all(score.value is None for score in result.scores)


@pytest.mark.parametrize("name", SCORERS)
def test_an_answer_in_the_field_for_thoughts_alone_fails_and_says_so(name: str) -> None:
    result = scored(name, lambda reply: replace(reply, text="", thoughts=reply.text))
    assert result.n_judged == 0
    assert all("only reasoning and no answer" in (t.failure or "") for t in result.trials)


@pytest.mark.parametrize("shape", [None, "spelling"])
@pytest.mark.parametrize("name", ["simulation", "simulation_digits", "simulation_all_at_once"])
def test_a_score_is_made_in_one_way(name: str, shape: str | None) -> None:
    n_replies = 0

    def every_second(reply: ChatReply) -> ChatReply:
        nonlocal n_replies
        n_replies += 1
        if n_replies % 2:
            return reply
        others = (TokenChoice("x", 0.0, (("x", 0.0),)),) if shape else None
        return replace(reply, tokens=others)

    mixed = scored(name, every_second, logprobs=True)
    plain = scored(name, lambda reply: replace(reply, tokens=None), logprobs=True)
    assert mixed.trials == plain.trials
    assert mixed.scores == plain.scores
    assert mixed.notes[0].startswith("levels as generated: ")
    assert "windows came without log-probabilities" in mixed.notes[0]


def test_a_score_that_grows_is_made_in_one_way_too() -> None:
    llm = GradedLLM({RIGHT: rule(RIGHT)}, ability=0.8, logprobs=True)
    n_replies = 0

    def later_without(request: ChatRequest) -> ChatReply:
        nonlocal n_replies
        n_replies += 1
        reply = llm(request)
        return reply if n_replies <= 16 else replace(reply, tokens=None)

    model = CachedInMemory(later_without)
    growing = asyncio.run(score_until(Simulation(model), saying(RIGHT), WINDOWS, width=1e-6))
    plain = scored("simulation", lambda reply: replace(reply, tokens=None), logprobs=True)
    assert growing.trials == plain.trials
    assert len(model.requests) == len(WINDOWS.records)


class CachedInMemory(ScriptedModel):
    """Sends each request once."""

    def __init__(self, handler: Callable[[ChatRequest], ChatReply]) -> None:
        super().__init__(handler, features=Features())
        self._kept: dict[ChatRequest, ChatReply] = {}

    async def reply(self, request: ChatRequest) -> ChatReply:
        if request not in self._kept:
            self._kept[request] = await super().reply(request)
        return self._kept[request]
