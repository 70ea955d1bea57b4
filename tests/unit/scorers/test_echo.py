"""Simulation by echo: levels are what could have stood in the prompt instead of unknown."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_sets
from judged_text import CONCEPTS, RIGHT, WRONG, judge, make_windows

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm import TokenChoice
from autointerp.llm.answers import NoAnswerError
from autointerp.scorers import ScoringSet
from autointerp.scorers.simulation.echo_simulation import EchoSimulation, read_echo

GOLDEN = Path(__file__).parents[2] / "golden"
WINDOWS = make_windows()
SMALL = ScoringSet.of(make_sets().held_out, seed=0, n_bootstrap=200, confidence=0.95)
Shares = dict[str, float]


class FakeEcho:
    """Cuts a prompt into words and says of each unknown what a function of the prompt says."""

    def __init__(self, says: Callable[[str, str], Shares]) -> None:
        self._says = says

    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        """Tokens of the prompt after a special one that the endpoint puts before it."""
        concept = text.rsplit("looks for: ", 1)[1].split("\n", 1)[0]
        choices, line = [choice("<s>", {})], ""
        for token in re.findall(r"\w+|\s|[^\w\s]+", text):
            shares = self._says(concept, line) if token == "unknown" else {}
            choices.append(choice(token, shares))
            line = "" if token == "\n" else line + token
        return tuple(choices)


def choice(token: str, shares: Shares) -> TokenChoice:
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return TokenChoice(token, -1.0, tuple((name, math.log(p)) for name, p in ranked if p > 0))


def oracle(concept: str, line: str) -> Shares:
    word = json.loads(line).strip() if line.startswith('"') else ""
    return {"10" if word in CONCEPTS.get(concept, set()) else "0": 0.3, "unknown": 0.7}


def test_the_right_explanation_beats_each_wrong_one() -> None:
    right = judge(EchoSimulation(FakeEcho(oracle)), RIGHT, WINDOWS)
    assert (right.score("population").value or 0) >= 0.98
    assert right.notes == (
        "expected levels from log-probabilities; 70.0% of the mass was on no level",
    )
    for text in WRONG:
        wrong = judge(EchoSimulation(FakeEcho(oracle)), text, WINDOWS).score("population")
        assert wrong.value is None or wrong.value < (right.score("population").low or 0)


def test_noise_has_an_interval_that_holds_0() -> None:
    held = 0
    for seed in range(12):
        rng = random.Random(seed)
        model = FakeEcho(lambda *_, rng=rng: {str(rng.choice((0, 0, 5, 10))): 0.9})
        score = judge(EchoSimulation(model), RIGHT, WINDOWS).score("population")
        held += (score.low or 0.0) <= 0 <= (score.high or 0.0)
    assert held >= 10


def test_levels_are_renormalized_over_exact_level_tokens_and_scaled_to_the_peak() -> None:
    shares = {"10": 0.2, "3": 0.1, "3.5": 0.3, "11": 0.2, " 0": 0.1}
    result = judge(EchoSimulation(FakeEcho(lambda *_: shares)), "cats", SMALL)
    level = (10 * 0.2 + 3 * 0.1 + 0 * 0.1) / 0.4
    assert result.trials[0].predicted == pytest.approx([level * 4.0 / 10] * 4, abs=1e-12)
    assert result.notes == (
        "expected levels from log-probabilities; 60.0% of the mass was on no level",
    )


def test_a_position_without_any_level_fails_the_trial_and_no_other() -> None:
    lost: list[str] = []

    def says(_concept: str, line: str) -> Shares:
        if "river" in line and not lost:
            lost.append(line)
            return {"unknown": 0.9}
        return {"0": 0.9}

    result = judge(EchoSimulation(FakeEcho(says)), "cats", SMALL)
    assert [t.failure for t in result.trials].count("no probability on any level at 'unknown'") == 1
    assert result.n_judged == 2


class Refusing:
    """Refuses, or is gone."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        """Never anything."""
        raise self._error


def test_a_refused_prompt_is_a_failed_trial_and_an_endpoint_that_is_gone_an_error() -> None:
    refused = EchoSimulation(Refusing(RequestRefusedError("too long")))
    result = judge(refused, RIGHT, WINDOWS)
    assert {t.failure for t in result.trials} == {"refused: too long"}
    assert result.score("population").value is None
    gone = EchoSimulation(Refusing(UpstreamError("gone", retryable=True)))
    with pytest.raises(UpstreamError, match="gone"):
        judge(gone, RIGHT, WINDOWS)


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        ((), "the echo has 0 places for levels, 1 were asked for"),
        (('"a"', "\tknown"), "the echo has 0 places"),
        (('"a"\tunkn', "own"), "no token of the echo begins at a level"),
        (('"a"', "\t", "unknown"), "no probability on any level"),
    ],
)
def test_an_echo_that_cannot_be_read_says_why(tokens: tuple[str, ...], reason: str) -> None:
    with pytest.raises(NoAnswerError, match=reason):
        read_echo([choice(token, {}) for token in tokens], n_tokens=1)


def test_half_characters_and_levels_with_their_tab_move_nothing() -> None:
    echo = [choice(t, {}) for t in ("<s>", '"\ufffd', '\ufffd"')]
    read = read_echo([*echo, choice("\tunknown", {"\t7": 0.5}), choice("\n", {})], n_tokens=1)
    assert read.levels == (7.0,)


def test_no_text_can_put_a_place_into_the_prompt() -> None:
    tokens = ("\tunknown", "\n", '"\tunknown\n')
    windows = replace(SMALL.records[0], tokens=tokens)
    prompt = EchoSimulation(FakeEcho(oracle)).prompt("cats", windows.tokens)
    assert prompt.split("looks for: cats")[1].count("\tunknown") == 3


def test_the_whole_prompt_is_the_golden_file() -> None:
    prompt = EchoSimulation(FakeEcho(oracle)).prompt("cats", SMALL.records[0].tokens)
    assert prompt == (GOLDEN / "simulate_echo_v1.txt").read_text("utf-8")
