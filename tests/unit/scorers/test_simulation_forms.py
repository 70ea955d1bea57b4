"""Simulation of several windows at once, and in the sparse form."""

from __future__ import annotations

import json
import math
import random
import re
import sys
from pathlib import Path

import pytest
from factories import make_sets
from hypothesis import given
from hypothesis import strategies as st
from judged_text import BAD_REPLIES, RIGHT, WRONG, judge, knows, make_windows, rendered
from scripted_logprobs import with_logprobs

from autointerp.core.errors import InputError, RequestRefusedError
from autointerp.core.scores import ScorerResult
from autointerp.llm import ChatModel, ChatReply, ChatRequest, ScriptedModel, Usage
from autointerp.llm.answers import NoAnswerError
from autointerp.scorers import Scorer, ScoringSet
from autointerp.scorers.simulation.dense_simulation import Simulation
from autointerp.scorers.simulation.levels_reply import read_sparse
from autointerp.scorers.simulation.sparse_simulation import SparseSimulation

GOLDEN = Path(__file__).parents[2] / "golden"
WINDOWS = make_windows()
SMALL = ScoringSet.of(make_sets().held_out, seed=0, n_bootstrap=200, confidence=0.95)


def several(model: ChatModel) -> Scorer:
    return Simulation(model, windows_per_call=7)


def sparse(model: ChatModel) -> Scorer:
    return SparseSimulation(model)


def several_sparse(model: ChatModel) -> Scorer:
    return SparseSimulation(model, windows_per_call=7)


FORMS = pytest.mark.parametrize("form", [several, sparse, several_sparse])


@FORMS
def test_the_right_explanation_beats_each_wrong_one(form: type[Scorer]) -> None:
    right = judge(form(ScriptedModel(knows)), RIGHT, WINDOWS).score("population")
    assert (right.value or 0) >= 0.98
    for text in WRONG:
        wrong = judge(form(ScriptedModel(knows)), text, WINDOWS).score("population")
        assert wrong.value is None or wrong.value < (right.low or 0)


@FORMS
def test_noise_has_an_interval_that_holds_0(form: type[Scorer]) -> None:
    held = 0
    for seed in range(20):
        model = ScriptedModel(noise(seed))
        score = judge(form(model), RIGHT, WINDOWS).score("population")
        assert score.value is not None
        held += (score.low or 0.0) <= 0 <= (score.high or 0.0)
    assert held >= 17


def noise(seed: int) -> object:
    def handler(request: ChatRequest) -> str:
        asked = request.messages[-1].content
        rng = random.Random(f"{seed}{asked}")
        numbers = re.findall(r"^Text (\d+)$", asked, re.MULTILINE)
        if "\n0: " in asked:
            pairs = {
                n: [[i, rng.randint(1, 10)] for i in rng.sample(range(12), 3)] for n in numbers
            }
            return json.dumps(pairs)
        row = (0, 0, 0, 5, 10)
        return json.dumps({n: [rng.choices(row, k=8), rng.choices(row, k=4)] for n in numbers})

    return handler


@FORMS
@pytest.mark.parametrize("reply", BAD_REPLIES)
def test_replies_that_cannot_be_read_fail_every_window(form: type[Scorer], reply: str) -> None:
    result = judge(form(ScriptedModel(lambda _: reply)), RIGHT, WINDOWS)
    assert result.n_failed == result.n_asked == len(WINDOWS.records)
    assert result.score("population").value is None


def failures(scorer: Scorer) -> list[str]:
    return [t.failure for t in judge(scorer, "cats", SMALL).trials if t.failure]


def test_a_window_of_the_wrong_shape_fails_alone() -> None:
    reply = '{"1": [[0, 1, 2]], "2": [[0, 9, 0, 0]], "3": [[0, 0, 0, 11]]}'
    model = ScriptedModel(lambda _: reply)
    found = failures(Simulation(model, windows_per_call=3))
    assert sorted(found) == [
        "11 is not a whole level from 0 to 10",
        "asked for rows of [4] levels, found [3]",
    ]


def test_a_reply_cut_off_loses_only_the_windows_behind_the_cut() -> None:
    cut = ChatReply('{"1": [[0, 9, 0, 0]], "2": [[0, 1', "length", None, Usage(), "m")
    found = failures(Simulation(ScriptedModel(lambda _: cut), windows_per_call=3))
    assert found == ["the reply was cut off at its token limit"] * 2


def test_a_window_that_is_missing_or_one_too_many_moves_no_other() -> None:
    reply = '{"1": [[0, 9, 0, 0]], "3": [[0, 0, 7, 0]], "4": [[1, 1, 1, 1]]}'
    found = failures(Simulation(ScriptedModel(lambda _: reply), windows_per_call=3))
    assert len(found) == 1
    assert found[0].startswith('nothing stands under "2" in the reply')


def test_a_refused_call_fails_its_windows_and_no_others() -> None:
    asked: list[int] = []

    def handler(request: ChatRequest) -> str | Exception:
        asked.append(1)
        return RequestRefusedError("no") if len(asked) == 1 else knows(request)

    result = judge(several(ScriptedModel(handler)), RIGHT, WINDOWS)
    assert (result.n_failed, len(asked)) == (7, 6)
    assert [t.window for t in result.trials] == [r.window for r in WINDOWS.records]


def test_each_window_of_a_call_has_its_own_expected_levels() -> None:
    text = '{"1": [[0, 1, 0, 0]], "2": [[0, 1, 0, 0]], "3": [[0, 1, 0, 0]]}'
    shares = {1: {"1": 0.5, "3": 0.5}, 5: {"1": 0.25, "5": 0.25}, 9: {"1": 1.0}}
    names = ["0", "1", "0", "0"] * 3
    choices = [(name, shares.get(i, {name: 1.0})) for i, name in enumerate(names)]
    # The names of the windows are tokens too, in the order of the text.
    spelled = [*[("1", {"1": 1.0})], *choices[:4], ("2", {"2": 1.0}), *choices[4:8]]
    reply = with_logprobs(text, [*spelled, ("3", {"3": 1.0}), *choices[8:]])
    result = judge(Simulation(ScriptedModel(lambda _: reply), windows_per_call=3), "cats", SMALL)
    peaks = sorted(max(t.predicted or ()) for t in result.trials)
    assert peaks == pytest.approx([1.0 * 0.4, 2.0 * 0.4, 3.0 * 0.4], abs=1e-12)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("[[4, 1]]", "4 is not a whole index from 0 to 3"),
        ("[[-1, 1]]", "-1 is not a whole index"),
        ("[[1, 11]]", "11 is not a whole level from 0 to 10"),
        ("[[1, 2.5]]", "2.5 is not a whole level"),
        ('[["river", 2]]', "'river' is not a whole index"),
        ("[[true, 2]]", "True is not a whole index"),
        ("[[1, 2], [1, 3]]", "index 1 came twice"),
        ("[1, 2]", "asked for pairs of index and level, found 1"),
        ("[[1, 2, 3]]", "asked for pairs"),
        ("[[1, 2]", "is not JSON"),
        ('{"1": 2}', "is not a list"),
    ],
)
def test_a_sparse_window_that_breaks_the_rules_says_how(value: str, reason: str) -> None:
    made = ChatReply(f'{{"7": {value}', "stop", None, Usage(), "m")
    with pytest.raises(NoAnswerError, match=reason):
        read_sparse(made, 7, n_tokens=4, top=10)


@given(st.lists(st.lists(st.integers(0, 10), min_size=1, max_size=64), min_size=1, max_size=5))
def test_sparse_levels_come_back_whatever_stands_around_them(windows: list[list[int]]) -> None:
    body = {
        str(i): [[at, level] for at, level in enumerate(levels) if level]
        for i, levels in enumerate(windows, 1)
    }
    text = f"Here they are:\n```json\n{json.dumps(body, indent=1)}\n```"
    made = ChatReply(text, "stop", None, Usage(), "m")
    for i, levels in enumerate(windows, 1):
        read = read_sparse(made, i, n_tokens=len(levels), top=10)
        assert read.levels == tuple(map(float, levels))


def test_the_sparse_form_is_written_in_less_than_half_of_the_tokens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def spent(scorer: Scorer, model: ScriptedModel) -> tuple[ScorerResult, int, int]:
        result = judge(scorer, RIGHT, WINDOWS)
        prompt = sum(count(m.content) for r in model.requests for m in r.messages)
        replies = sum(count(knows(request)) for request in model.requests)
        return result, prompt, replies

    dense_model, sparse_model = ScriptedModel(knows), ScriptedModel(knows)
    dense, dense_prompt, dense_replies = spent(several(dense_model), dense_model)
    short, short_prompt, short_replies = spent(several_sparse(sparse_model), sparse_model)
    spent_each = f"dense {dense_prompt} + {dense_replies}, sparse {short_prompt} + {short_replies}"
    with capsys.disabled():
        sys.stdout.write(f"\ntokens for {len(WINDOWS.records)} windows of 12: {spent_each}\n")
    assert [t.predicted for t in dense.trials] == [t.predicted for t in short.trials]
    assert short_replies < dense_replies / 2


def count(text: str) -> int:
    return math.ceil(len(text) / 4)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_prompt_for_one_window_is_refused_for_several(version: str) -> None:
    with pytest.raises(InputError, match=f"prompt {version} shows one window and not 3"):
        Simulation(ScriptedModel(knows), version=version, windows_per_call=3)


@pytest.mark.parametrize("name", ["simulate_levels_v3", "simulate_sparse_v1"])
def test_the_whole_prompt_is_the_golden_file(name: str) -> None:
    model = ScriptedModel(lambda _: "")
    made = Simulation if name == "simulate_levels_v3" else SparseSimulation
    judge(made(model, windows_per_call=3), "cats", SMALL)
    assert rendered(model.requests[0]) == (GOLDEN / f"{name}.txt").read_text("utf-8")
